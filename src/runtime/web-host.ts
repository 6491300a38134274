/** Models from bytes, in a browser. */
import { UserError, byteLength, externalWeights, readModel } from '../onnx/index.ts';
import type { Graph, Model, Weight } from '../onnx/index.ts';
import { ModelHost } from './host.ts';
import type { HostSettings, Platform, ProgramStore } from './host.ts';
import { LoadedSessions } from './loaded.ts';
import { webSha256 } from './sha256.ts';
import { defaultWebThreads, openWebSession } from './web-session.ts';
import type { WeightsFile } from './web-session.ts';
import { WEB_VERSIONS } from './web-versions.ts';
import { openWorkerSession, startWorker } from './worker-session.ts';
import type { WorkerFactory } from './worker-session.ts';

export interface WebHostOptions extends Omit<HostSettings, 'weightsFolder'> {
  /** What people know the model by. Default `model.onnx`. */
  readonly name?: string;
  /** The files that weights outside the .onnx file are in, by the path the model gives. */
  readonly weights?: Readonly<Record<string, Blob | Uint8Array>>;
  /**
   * Each loaded model has a Worker of its own; `false` loads them into this thread, for pages whose own code runs in a
   * Worker already. A function starts the Worker where the bundler does not find the script by itself.
   */
  readonly worker?: boolean | WorkerFactory;
  /** URL of the folder with onnxruntime-web's .wasm and .mjs files. Unless given, the bundler's own place. */
  readonly wasmPaths?: string;
  /** Keeps compiled programs for the next visit; unless given they are gone with the page. */
  readonly store?: ProgramStore;
}

/** Programs kept loaded unless a host is told otherwise: as many Workers, and as much memory, as one page may well take. */
const KEPT = { sessions: 24, bytes: 2 * 1024 ** 3 };
/** Weights of fewer bytes than this hold shapes and the like, which passes have to see. */
const SMALL = 1024;
/** Under this name the model's own bytes are mounted for onnxruntime; no path that a model may refer to looks like it. */
const OWN_FILE = 'onnxray-model';

/** A model in memory and the programs compiled from it, which refer to its bytes for their weights. */
export class WebModelHost extends ModelHost {
  /**
   * Opens a model from its bytes. A `Blob` or `File` is not copied into each Worker.
   * Throws a UserError when it is no ONNX model, or a file of weights is missing or too short.
   */
  static async open(model: Blob | ArrayBuffer | Uint8Array, options: WebHostOptions = {}): Promise<ModelHost> {
    const { name = 'model.onnx', weights = {}, worker = true, wasmPaths, store, ...given } = options;
    const settings = { loaded: new LoadedSessions(KEPT), ...given };
    const bytes = model instanceof Blob ? new Uint8Array(await model.arrayBuffer()) : asBytes(model);
    const blob = model instanceof Blob ? model : new Blob([bytes as Uint8Array<ArrayBuffer>]);
    const files: readonly WeightsFile[] = [
      { path: OWN_FILE, data: blob },
      ...Object.entries(weights).map(([path, data]) => ({ path, data })),
    ];
    const start = worker === true ? startWorker : worker;
    const platform: Platform = {
      openSession(program, given) {
        const session = { ...given, files, ...(wasmPaths === undefined ? {} : { wasmPaths: absolute(wasmPaths) }) };
        return start === false ? openWebSession(program, session) : openWorkerSession(program, session, start);
      },
      sha256: webSha256,
      store,
      defaultProvider: 'wasm',
      defaultThreads: defaultWebThreads(),
      versions: WEB_VERSIONS,
    };
    try {
      const read = readModel(bytes);
      return new WebModelHost(
        {
          path: name,
          sha256: await webSha256(bytes),
          model: await readSmallWeights(read, weights),
          weightsIn: OWN_FILE,
          external: Object.entries(weights).map(([path, data]) => `${path}:${sizeOf(data)}`),
        },
        platform,
        // A page that is not isolated has one thread, whatever is asked for.
        globalThis.crossOriginIsolated ? settings : { ...settings, threads: 1 },
      );
    } catch (error) {
      if (error instanceof UserError) throw new UserError(`${name}: ${error.message}`);
      throw error;
    }
  }
}

const asBytes = (data: ArrayBuffer | Uint8Array): Uint8Array =>
  data instanceof Uint8Array ? data : new Uint8Array(data);

const sizeOf = (data: Blob | Uint8Array): number => (data instanceof Blob ? data.size : data.length);

/** Workers have an address of their own: paths are made whole here. */
const absolute = (url: string): string => new URL(url, globalThis.location.href).href;

/** Checks that external weights are all there; the small ones are read in. */
async function readSmallWeights(model: Model, files: WebHostOptions['weights'] & object): Promise<Model> {
  const found = new Map<string, Uint8Array>();
  for (const { name, storage } of externalWeights(model)) {
    const data = files[storage.location];
    if (data === undefined)
      throw new UserError(`the weight "${name}" is in ${storage.location}, which was not given with the model`);
    const end = storage.offset + (storage.length ?? 0);
    if (end > sizeOf(data))
      throw new UserError(
        `${storage.location} is too short: the weight "${name}" should end at byte ${end} of ${sizeOf(data)}`,
      );
  }
  for (const { type, dims, storage } of model.graph.initializers.values()) {
    const length = byteLength(type, dims);
    if (storage.kind !== 'external' || length >= SMALL) continue;
    const part = files[storage.location]!.slice(storage.offset, storage.offset + length);
    found.set(keyOf(storage), part instanceof Blob ? new Uint8Array(await part.arrayBuffer()) : part);
  }
  if (found.size === 0) return model;
  const initializers = new Map(
    Array.from(model.graph.initializers, ([name, weight]): [string, Weight] => {
      const bytes = weight.storage.kind === 'external' ? found.get(keyOf(weight.storage)) : undefined;
      return [name, bytes === undefined ? weight : { ...weight, storage: { kind: 'bytes', bytes } }];
    }),
  );
  const graph: Graph = { ...model.graph, initializers };
  return { ...model, graph };
}

const keyOf = ({ location, offset }: { readonly location: string; readonly offset: number }): string =>
  `${offset}:${location}`;
