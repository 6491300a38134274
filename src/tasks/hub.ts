/** A model by its name on the Hugging Face hub, or a mirror of it: which files it takes, and where they are. */
import { UserError } from '../onnx/index.ts';
import { JSON_FILES } from './folder.ts';

/** The hub, unless told otherwise. */
export const HUB = 'https://huggingface.co';

export interface HubFile {
  /** Its own name, without folders. */
  readonly name: string;
  readonly address: string;
  /** As the hub says, undefined where it does not. */
  readonly bytes: number | undefined;
}

export interface HubModel {
  /** As it was asked for. */
  readonly name: string;
  /** The model, its weights where they are in files of their own, and the JSON files that are there. */
  readonly files: readonly HubFile[];
  /** Of all files together, as far as the hub says. */
  readonly bytes: number;
}

export interface HubOptions {
  /** Address of the hub; default `HUB`. */
  readonly hub?: string;
  readonly signal?: AbortSignal;
}

/** Of a list of a model's files; the longest known are under a megabyte. */
const LIST_BYTES = 8 * 2 ** 20;
const PART = '[A-Za-z0-9][A-Za-z0-9._-]{0,95}';
const NAME = new RegExp(`^(?:${PART}/)?${PART}$`);
const FILE = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:\/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*$/;

/**
 * Asks the hub which files a model has, and picks those that are needed. Sends the name, and nothing else.
 * Throws a UserError for what is no name of a model, a model that is not there or not public, and one without a single .onnx
 * file to take.
 */
export async function findHubModel(name: string, { hub = HUB, signal }: HubOptions = {}): Promise<HubModel> {
  if (!NAME.test(name) || name.includes('..'))
    throw new UserError('that is no name on the hub: names look like Xenova/all-MiniLM-L6-v2');
  const base = hub.replace(/\/+$/, '');
  const response = await ask(`${base}/api/models/${name}?blobs=true`, signal);
  const list = await readList(response, name);
  const revision = typeof list['sha'] === 'string' && /^[0-9a-f]{7,64}$/.test(list['sha']) ? list['sha'] : 'main';
  const sizes = new Map(filesOf(list['siblings']));
  const model = pickModel([...sizes.keys()], name);
  const folder = model.slice(0, model.lastIndexOf('/') + 1);
  const wanted = [
    model,
    ...[...sizes.keys()].filter((path) => path.startsWith(`${model}_data`) || path === `${model}.data`),
    ...JSON_FILES.flatMap((file) => [file, folder + file].filter((path) => sizes.has(path)).slice(0, 1)),
  ];
  const files = wanted.map((path) => ({
    name: path.slice(path.lastIndexOf('/') + 1),
    address: `${base}/${name}/resolve/${revision}/${path}`,
    bytes: sizes.get(path),
  }));
  return { name, files, bytes: files.reduce((sum, { bytes = 0 }) => sum + bytes, 0) };
}

/** Asks for one file. Throws a UserError when the hub does not give it. */
export function fetchHubFile({ address }: HubFile, signal?: AbortSignal): Promise<Response> {
  return ask(address, signal);
}

async function ask(address: string, signal: AbortSignal | undefined): Promise<Response> {
  const { host, protocol } = new URL(address);
  const response = await fetch(address, {
    credentials: 'omit',
    referrerPolicy: 'no-referrer',
    ...(signal === undefined ? {} : { signal }),
  }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw new UserError(`cannot reach ${host}: check the connection, or set HF_ENDPOINT to a mirror`, { cause: error });
  });
  const refuse = async (message: string): Promise<never> => {
    await response.body?.cancel();
    throw new UserError(message);
  };
  // Files lie on other hosts and the hub sends there; from https it may only send to https.
  if (protocol === 'https:' && !response.url.startsWith('https:'))
    return refuse(`${host} sends to a host without https`);
  if ([401, 403, 404].includes(response.status))
    return refuse(`${host} has no public model or file of that name (${response.status}): check the spelling`);
  if (!response.ok || response.body === null) return refuse(`${host} answered ${response.status}: try again later`);
  return response;
}

async function readList(response: Response, name: string): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (const reader = response.body!.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    if (bytes > LIST_BYTES) {
      await reader.cancel();
      throw new UserError(`the list of files of ${name} is too long`);
    }
    chunks.push(value);
  }
  try {
    const list: unknown = JSON.parse(await new Blob(chunks as BlobPart[]).text());
    if (typeof list === 'object' && list !== null) return list as Readonly<Record<string, unknown>>;
  } catch {
    // Said below.
  }
  throw new UserError(`the hub's answer about ${name} is no list of files`);
}

/** Path and size of each file with a plain path. */
function filesOf(siblings: unknown): [string, number | undefined][] {
  if (!Array.isArray(siblings)) return [];
  return siblings.flatMap((each: { rfilename?: unknown; size?: unknown } | null): [string, number | undefined][] => {
    const path = each?.rfilename;
    if (typeof path !== 'string' || !FILE.test(path) || path.includes('..')) return [];
    return [[path, typeof each!.size === 'number' && each!.size >= 0 ? each!.size : undefined]];
  });
}

/** `onnx/model.onnx`, `model.onnx`, or the only .onnx file there is. */
function pickModel(paths: readonly string[], name: string): string {
  const models = paths.filter((path) => path.endsWith('.onnx'));
  const usual = ['onnx/model.onnx', 'model.onnx'].find((path) => models.includes(path));
  if (usual !== undefined) return usual;
  if (models.length === 1) return models[0]!;
  throw new UserError(
    models.length === 0
      ? `${name} has no .onnx file: look for one that does, such as those of onnx-community`
      : `${name} has several models and none is called model.onnx (${models.slice(0, 4).join(', ')}${models.length > 4 ? ', ...' : ''}): download the one you mean and drop it`,
  );
}
