import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { nameUnknownOperators } from '../autodiff/index.ts';
import {
  UnknownRankError,
  UserError,
  fileProblem,
  normalizeModel,
  opsetOf,
  readModel,
  writeModel,
} from '../onnx/index.ts';
import type { Model } from '../onnx/index.ts';
import { checkExternalFiles, externalState, readSmallWeights } from './external.ts';
import { openIsolatedSession } from './isolated.ts';
import { openSession } from './native.ts';
import type { Session, SessionOptions } from './session.ts';
import { VERSIONS } from './versions.ts';

export interface HostOptions extends SessionOptions {
  /** Run models in a child process, so that the event loop of this one stays free and a run can be aborted. Default false. */
  readonly isolated?: boolean;
  /** Folder for compiled programs; `false` keeps them in memory only. Default: the user's cache folder. */
  readonly cache?: string | false;
}

/** Bump when a compiled program of an older version must not be used any more. */
const PROGRAM_FORMAT = 6;

const ROWS_APART = 'rows-apart';

/**
 * A model file and the programs compiled from it.
 * Programs are cached by the model's hash and the request they were compiled for, in memory as loaded sessions and on
 * disk as .onnx files of a few kB that refer to the model's file for their weights.
 */
export class ModelHost {
  readonly path: string;
  /** SHA-256 of the .onnx file, hexadecimal; weights in other files are not part of it. */
  readonly sha256: string;
  /** The model as the file has it. */
  readonly original: Model;
  /** The model in the form passes work on. */
  readonly model: Model;
  readonly options: HostOptions;
  readonly #sessions = new Map<string, Promise<Session>>();
  readonly #models = new Map<string, Model>();
  /** SHA-256 of each program's bytes. */
  readonly #digests = new Map<string, string>();
  readonly #checked = new Set<string>();
  readonly #apart = new Set<string>();
  readonly #external: readonly string[];

  private constructor(
    file: string,
    sha256: string,
    external: readonly string[],
    original: Model,
    options: HostOptions,
  ) {
    this.#external = external;
    this.path = file;
    this.sha256 = sha256;
    this.original = original;
    this.model = normalizeModel(original);
    this.options = options;
  }

  /** Opens a model file. Throws a UserError when it cannot be read or is no ONNX model. */
  static async open(file: string, options: HostOptions = {}): Promise<ModelHost> {
    const bytes = await readFile(file).catch((error: unknown) => {
      throw new UserError(`cannot read ${file}: ${fileProblem(error)}`, { cause: error });
    });
    try {
      const folder = path.dirname(path.resolve(file));
      const model = readModel(bytes);
      checkExternalFiles(model, folder);
      const known = readSmallWeights(model, folder);
      return new ModelHost(file, sha256(bytes), externalState(model, folder), known, options);
    } catch (error) {
      if (error instanceof UserError) throw new UserError(`${file}: ${error.message}`);
      throw error;
    }
  }

  /** A session over the unmodified file, for comparing with. The caller releases it. */
  openOriginal(): Promise<Session> {
    return this.#open(writeModel(this.original, { weightsIn: path.basename(this.path) }));
  }

  /**
   * The session of a compiled program. `request` says everything the program depends on beside the model;
   * `compile` is called only when neither memory nor disk has it.
   */
  async program(request: object, compile: (model: Model) => Model): Promise<Session> {
    const key = this.#key(request);
    const known = this.#sessions.get(key);
    if (known !== undefined) {
      const session = await known;
      if (!session.closed) return session;
      // An aborted run ended its process. Of several callers only the first opens it anew.
      if (this.#sessions.get(key) === known) this.#sessions.delete(key);
    }
    let session = this.#sessions.get(key);
    if (session === undefined) {
      session = this.#load(key, compile);
      this.#sessions.set(key, session);
      session.catch(() => this.#sessions.delete(key));
    }
    return session;
  }

  /** The compiled program as a model, once `program` was called for it. */
  compiled(request: object): Model | undefined {
    return this.#models.get(this.#key(request));
  }

  async #load(key: string, compile: (model: Model) => Model): Promise<Session> {
    const stored = await this.#readProgram(key);
    if (stored !== undefined) {
      this.#models.set(key, readModel(stored));
      this.#digests.set(key, sha256(stored));
      return this.#open(stored);
    }
    const program = this.#compile(compile);
    this.#models.set(key, program);
    const bytes = writeModel(program, { weightsIn: path.basename(this.path) });
    const session = await this.#open(bytes);
    const digest = sha256(bytes);
    this.#digests.set(key, digest);
    // A program is only used with the checksum of its bytes beside it: the checksum goes first.
    await this.#writeCache(`${key}.sha256`, digest);
    await this.#writeCache(`${key}.onnx`, bytes);
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
    const [checked, rows] = String(await this.#readCache(`${key}.checked`)).split(' ');
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
    if (digest !== undefined) await this.#writeCache(`${key}.checked`, rowsApart ? `${digest} ${ROWS_APART}` : digest);
  }

  /** What `rememberChecked` was told about rows, here or in an earlier process; ask `isChecked` first. */
  keepsRowsApart(request: object): boolean {
    return this.#apart.has(this.#key(request));
  }

  async release(): Promise<void> {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of sessions)
      await session.then(
        (open) => open.release(),
        () => undefined,
      );
  }

  #key(request: object): string {
    const text = JSON.stringify([
      PROGRAM_FORMAT,
      VERSIONS,
      this.sha256,
      this.#external,
      path.basename(this.path),
      opsetOf(this.model),
      this.options.optimization ?? 'all',
      request,
    ]);
    return sha256(text).slice(0, 40);
  }

  #open(bytes: Uint8Array): Promise<Session> {
    const weightsFolder = path.dirname(path.resolve(this.path));
    const options = { ...this.options, weightsFolder };
    return this.options.isolated ? openIsolatedSession(bytes, options) : openSession(bytes, options);
  }

  get #cacheFolder(): string | undefined {
    const { cache } = this.options;
    if (cache === false) return undefined;
    return cache ?? path.join(process.env['XDG_CACHE_HOME'] || path.join(homedir(), '.cache'), 'onnxray');
  }

  /** A stored program whose bytes are those that were stored. */
  async #readProgram(key: string): Promise<Uint8Array | undefined> {
    const [bytes, digest] = await Promise.all([this.#readCache(`${key}.onnx`), this.#readCache(`${key}.sha256`)]);
    return bytes !== undefined && sha256(bytes) === String(digest) ? bytes : undefined;
  }

  async #readCache(name: string): Promise<Uint8Array | undefined> {
    if (this.#cacheFolder === undefined) return undefined;
    return readFile(path.join(this.#cacheFolder, name)).catch(() => undefined);
  }

  /** Written beside and moved into place, so that another process never reads half a file; a full or read-only disk is no error. */
  async #writeCache(name: string, content: Uint8Array | string): Promise<void> {
    const folder = this.#cacheFolder;
    if (folder === undefined) return;
    const partial = path.join(folder, `${name}.${process.pid}.partial`);
    await mkdir(folder, { recursive: true })
      .then(() => writeFile(partial, content))
      .then(() => rename(partial, path.join(folder, name)))
      .catch(() => rm(partial, { force: true }))
      .catch(() => undefined);
  }
}

function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}
