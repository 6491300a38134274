import { nameUnknownOperators } from '../autodiff/index.ts';
import { UnknownRankError, byteLength, normalizeModel, opsetOf, readModel, writeModel } from '../onnx/index.ts';
import type { Model, NamedTensors } from '../onnx/index.ts';
import { weightsInPlace } from './in-place.ts';
import type { LoadedSessions } from './loaded.ts';
import { RestingSession } from './resting.ts';
import { PROVIDER_NAMES, RunError } from './session.ts';
import type { Provider, RunOptions, Session, SessionOptions } from './session.ts';

/** Bump when a compiled program of an older version must not be used any more. */
const PROGRAM_FORMAT = 18;

const ROWS_APART = 'rows-apart';

/** Bytes a loaded model takes beside its weights: the runtime itself, and the process or Worker it is in. */
const SESSION_OVERHEAD = 64 * 1024 ** 2;

/** What a host needs of the place it runs in: Node (file-host.ts), a browser (web-host.ts), or yours. */
export interface Platform {
  /** Loads an .onnx file whose external weights are in the model's own file, `weightsIn`, and those it refers to itself. */
  openSession(bytes: Uint8Array, options: SessionOptions): Promise<Session>;
  /** SHA-256, hexadecimal. */
  sha256(content: Uint8Array | string): string | Promise<string>;
  /** Where compiled programs outlast the process; undefined: nowhere. */
  readonly store: ProgramStore | undefined;
  readonly defaultProvider: Provider;
  readonly defaultThreads: number;
  /** Versions of what computes the numbers. */
  readonly versions: Readonly<Record<string, string>>;
}

/** How a host runs its programs. */
export interface HostSettings extends SessionOptions {
  /** Counts the sessions that are loaded, of this host and of others it is shared with; unless given all stay loaded. */
  readonly loaded?: LoadedSessions;
}

/** Small files by name. A store that fails to keep one is no error: it is made again. */
export interface ProgramStore {
  read(name: string): Promise<Uint8Array | undefined>;
  write(name: string, content: Uint8Array | string): Promise<void>;
}

/** A model that was read, and where it is from. */
export interface ModelSource {
  /** What people know it by: its path, or the name of a file that was dropped on a page. */
  readonly path: string;
  /** SHA-256 of the .onnx file, hexadecimal; weights in other files are not part of it. */
  readonly sha256: string;
  /** The model as the file has it. */
  readonly model: Model;
  /** Name under which programs refer to the model's own file for their weights. */
  readonly weightsIn: string;
  /** The state of other files it needs: when that changes, what was compiled is out of date. */
  readonly external: readonly string[];
}

/**
 * A model and the programs compiled from it, wherever it runs; `ModelHost.open` of the room's two doors makes one.
 * Programs are cached by the model's hash and the request they were compiled for, in memory as loaded sessions and, where
 * the platform has a store, as .onnx files of a few kB that refer to the model's file for their weights.
 */
export class ModelHost {
  readonly path: string;
  /** SHA-256 of the .onnx file, hexadecimal; weights in other files are not part of it. */
  readonly sha256: string;
  /** The model as the file has it. */
  readonly original: Model;
  /** The model in the form passes work on. */
  readonly model: Model;
  readonly options: SessionOptions;
  readonly #platform: Platform;
  readonly #source: ModelSource;
  readonly #loaded: LoadedSessions | undefined;
  readonly #sessions = new Map<string, Promise<RestingSession>>();
  readonly #models = new Map<string, Model>();
  /** SHA-256 of each program's bytes. */
  readonly #digests = new Map<string, string>();
  readonly #checked = new Set<string>();
  readonly #apart = new Set<string>();
  readonly #notes = new Set<string>();
  #provider: Provider;

  constructor(source: ModelSource, platform: Platform, { loaded, ...options }: HostSettings = {}) {
    this.#source = source;
    this.#loaded = loaded;
    this.#platform = platform;
    this.#provider = options.provider ?? platform.defaultProvider;
    this.path = source.path;
    this.sha256 = source.sha256;
    this.original = source.model;
    this.model = normalizeModel(source.model);
    this.options = options;
  }

  /** What programs are compiled for and run on; changes to what stands in when a provider turns out not to work. */
  get provider(): Provider {
    return this.#provider;
  }

  get threads(): number {
    return this.options.threads ?? this.#platform.defaultThreads;
  }

  /** Versions of what computes the numbers. */
  get versions(): Readonly<Record<string, string>> {
    return this.#platform.versions;
  }

  /** What a person must know about how models are run here, such as a provider that is not there: one sentence each. */
  get notes(): readonly string[] {
    return [...this.#notes];
  }

  /**
   * A session over the unmodified file, for comparing with: where models always run, whatever the provider, so that a
   * provider's own mistakes are found too. The caller releases it.
   */
  async openOriginal(): Promise<Session> {
    // A large model is loaded once at a time.
    if (this.#isLarge) for (const session of await this.#allSessions()) await session.rest();
    const { openSession, defaultProvider } = this.#platform;
    return openSession(this.#encode(this.original), { ...this.options, provider: defaultProvider });
  }

  /** A session over a variant of the model or of a program, for one look at it. The caller releases it. */
  openVariant(model: Model): Promise<Session> {
    return this.#open(this.#encode(model));
  }

  /**
   * Leaves a provider that proved wrong for this model, and the sessions that run on it; `notes` then tells why. False
   * when there is none to leave.
   */
  async leaveProvider(reason: string): Promise<boolean> {
    if (!this.#standIn(reason)) return false;
    const sessions = await this.#takeSessions();
    // What others run on them now ends first.
    await Promise.all(sessions.map((session) => session.rest().then(() => session.release())));
    return true;
  }

  #standIn(reason: string): boolean {
    const { defaultProvider } = this.#platform;
    if (this.#provider === defaultProvider) return false;
    const [left, taken] = [this.#provider, defaultProvider].map((provider) => PROVIDER_NAMES[provider]);
    this.#notes.add(`${left} ${reason}: the model runs on ${taken} instead`);
    this.#provider = defaultProvider;
    return true;
  }

  /**
   * The session of a compiled program. `request` says everything the program depends on beside the model;
   * `compile` is called only when neither memory nor store has it.
   */
  async program(request: object, compile: (model: Model) => Model): Promise<Session> {
    const key = this.#key(request);
    let loading = this.#sessions.get(key);
    if (loading === undefined) {
      loading = this.#load(key, compile);
      this.#sessions.set(key, loading);
      const mine = loading;
      loading.catch(() => this.#sessions.get(key) === mine && this.#sessions.delete(key));
    }
    const session = await loading;
    // An aborted run ended its process.
    if (session.closed) await session.wake();
    return session;
  }

  /** The compiled program as a model, once `program` was called for it. */
  compiled(request: object): Model | undefined {
    return this.#models.get(this.#key(request));
  }

  async #load(key: string, compile: (model: Model) => Model): Promise<RestingSession> {
    const stored = await this.#readProgram(key);
    if (stored !== undefined) {
      const program = readModel(stored.bytes);
      this.#models.set(key, program);
      this.#digests.set(key, stored.digest);
      return this.#openProgram(program, stored.bytes);
    }
    const program = this.#compile(compile);
    this.#models.set(key, program);
    const bytes = this.#encode(program);
    const session = await this.#openProgram(program, bytes);
    const digest = await this.#platform.sha256(bytes);
    this.#digests.set(key, digest);
    // A program is only used with the checksum of its bytes beside it: the checksum goes first.
    await this.#write(key, 'sha256', digest);
    await this.#write(key, 'onnx', bytes);
    return session;
  }

  #compile(compile: (model: Model) => Model): Model {
    try {
      return compile(this.model);
    } catch (error) {
      throw error instanceof UnknownRankError ? nameUnknownOperators(error, this.model) : error;
    }
  }

  /** Whether this program's outputs were once found equal to the unmodified model's, in any process. */
  async isChecked(request: object): Promise<boolean> {
    const key = this.#key(request);
    if (this.#checked.has(key)) return true;
    // It was these bytes that were found equal, not others that once were compiled for the same request.
    const digest = this.#digests.get(key);
    const [checked, rows] = textOf(await this.#read(key, 'checked')).split(' ');
    if (digest === undefined || checked !== digest) return false;
    this.#checked.add(key);
    if (rows === ROWS_APART) this.#apart.add(key);
    return true;
  }

  /** `rowsApart`: the model mixes the rows of a batch, so the program must run one at a time. */
  async rememberChecked(request: object, { rowsApart = false } = {}): Promise<void> {
    const key = this.#key(request);
    this.#checked.add(key);
    if (rowsApart) this.#apart.add(key);
    const digest = this.#digests.get(key);
    if (digest !== undefined) await this.#write(key, 'checked', rowsApart ? `${digest} ${ROWS_APART}` : digest);
  }

  /** What `rememberChecked` was told about rows, here or in an earlier process; ask `isChecked` first. */
  keepsRowsApart(request: object): boolean {
    return this.#apart.has(this.#key(request));
  }

  /** Ends what runs, and gives all memory back. */
  async release(): Promise<void> {
    const sessions = await this.#takeSessions();
    await Promise.all(sessions.map((session) => session.release()));
  }

  /** All sessions, once they are loaded; programs asked for from now on are loaded anew. */
  #takeSessions(): Promise<readonly RestingSession[]> {
    const sessions = this.#allSessions();
    this.#sessions.clear();
    return sessions;
  }

  async #allSessions(): Promise<readonly RestingSession[]> {
    const sessions = await Promise.allSettled(this.#sessions.values());
    return sessions.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  }

  /** Whether the weights are used where they lie in the file, and the model is loaded once at a time. */
  get #isLarge(): boolean {
    return weightsInPlace(this.original).size > 0;
  }

  /** Everything a program depends on, as text. */
  #key(request: object): string {
    const { external, weightsIn, sha256 } = this.#source;
    return JSON.stringify([
      PROGRAM_FORMAT,
      this.#platform.versions,
      sha256,
      external,
      weightsIn,
      opsetOf(this.model),
      // Checked on one provider is not checked on another.
      this.options.provider ?? this.#platform.defaultProvider,
      this.options.optimization ?? 'all',
      request,
    ]);
  }

  /** As bytes that refer to the model's file for weights; those of a large model are to be used where they lie. */
  #encode(model: Model): Uint8Array {
    const inPlace = this.#provider === 'cpu' && this.original.irVersion >= 4;
    return writeModel(model, {
      weightsIn: this.#source.weightsIn,
      ...(inPlace ? { overridable: weightsInPlace(model) } : {}),
    });
  }

  #openProgram(program: Model, bytes: Uint8Array): Promise<RestingSession> {
    const counted = this.#loaded && { loaded: this.#loaded, bytes: this.#bytesOf(program) };
    return RestingSession.open(() => this.#open(bytes), counted);
  }

  /** What a program takes in memory, about: its weights as they are, and packed for the products unless they stay in place. */
  #bytesOf(program: Model): number {
    let weights = 0;
    for (const { type, dims } of program.graph.initializers.values()) weights += byteLength(type, dims);
    return SESSION_OVERHEAD + (this.#isLarge ? 1 : 2) * weights;
  }

  async #open(bytes: Uint8Array): Promise<Session> {
    const session = await this.#platform.openSession(bytes, { ...this.options, provider: this.#provider });
    const { openSession, defaultProvider } = this.#platform;
    if (session.fallback !== undefined) {
      this.#notes.add(session.fallback);
      this.#provider = session.provider;
    }
    if (session.provider === defaultProvider) return session;
    return new StandInSession(
      session,
      () => openSession(bytes, { ...this.options, provider: defaultProvider }),
      (error) => this.#standIn(`cannot run this model (${error.message})`),
    );
  }

  /** A stored program whose bytes are those that were stored. */
  async #readProgram(key: string): Promise<{ readonly bytes: Uint8Array; readonly digest: string } | undefined> {
    const [bytes, stored] = await Promise.all([this.#read(key, 'onnx'), this.#read(key, 'sha256')]);
    if (bytes === undefined) return undefined;
    const digest = await this.#platform.sha256(bytes);
    return digest === textOf(stored) ? { bytes, digest } : undefined;
  }

  async #read(key: string, kind: string): Promise<Uint8Array | undefined> {
    const { store, sha256 } = this.#platform;
    return store?.read(`${(await sha256(key)).slice(0, 40)}.${kind}`);
  }

  async #write(key: string, kind: string, content: Uint8Array | string): Promise<void> {
    const { store, sha256 } = this.#platform;
    await store?.write(`${(await sha256(key)).slice(0, 40)}.${kind}`, content);
  }
}

/** A session on a provider that may turn out unable to run a model it has loaded: then another takes over, for good. */
class StandInSession implements Session {
  readonly #open: () => Promise<Session>;
  readonly #onMoved: (reason: RunError) => void;
  #session: Session;
  #moved = false;

  constructor(session: Session, open: () => Promise<Session>, onMoved: (reason: RunError) => void) {
    this.#session = session;
    this.#open = open;
    this.#onMoved = onMoved;
  }

  get inputNames(): readonly string[] {
    return this.#session.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.#session.outputNames;
  }

  get provider(): Provider {
    return this.#session.provider;
  }

  get closed(): boolean {
    return this.#session.closed;
  }

  async run(feeds: NamedTensors, options: RunOptions = {}): Promise<NamedTensors> {
    const session = this.#session;
    try {
      return await session.run(feeds, options);
    } catch (error) {
      if (!(error instanceof RunError) || this.#moved) throw error;
      const other = await this.#open();
      try {
        const results = await other.run(feeds, options);
        [this.#session, this.#moved] = [other, true];
        this.#onMoved(error);
        return results;
      } catch (same) {
        // It was not for the provider that it failed.
        await other.release();
        throw same;
      } finally {
        if (this.#moved) await session.release();
      }
    }
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : new TextDecoder().decode(bytes);
}
