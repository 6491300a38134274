import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { UserError, normalizeModel, opsetOf, readModel, writeModel } from '../onnx/index.ts';
import type { Model } from '../onnx/index.ts';
import { checkExternalFiles, readSmallWeights } from './external.ts';
import { openIsolatedSession } from './isolated.ts';
import { openSession } from './native.ts';
import type { Session, SessionOptions } from './session.ts';

export interface HostOptions extends SessionOptions {
  /** Run models in a child process, so that the event loop of this one stays free and a run can be aborted. Default false. */
  readonly isolated?: boolean;
  /** Folder for compiled programs; `false` keeps them in memory only. Default: the user's cache folder. */
  readonly cache?: string | false;
}

/** Bump when a compiled program of an older version must not be used any more. */
const PROGRAM_FORMAT = 1;

/**
 * A model file and the programs compiled from it.
 * Programs are cached by the model's hash and the request they were compiled for, in memory as loaded sessions and on
 * disk as .onnx files of a few kB that refer to the model's file for their weights.
 */
export class ModelHost {
  readonly path: string;
  /** SHA-256 of the file, hexadecimal. */
  readonly sha256: string;
  /** The model as the file has it. */
  readonly original: Model;
  /** The model in the form passes work on. */
  readonly model: Model;
  readonly options: HostOptions;
  readonly #sessions = new Map<string, Promise<Session>>();
  readonly #models = new Map<string, Model>();
  readonly #checked = new Set<string>();

  private constructor(file: string, sha256: string, original: Model, options: HostOptions) {
    this.path = file;
    this.sha256 = sha256;
    this.original = original;
    this.model = normalizeModel(original);
    this.options = options;
  }

  /** Opens a model file. Throws a UserError when it cannot be read or is no ONNX model. */
  static async open(file: string, options: HostOptions = {}): Promise<ModelHost> {
    const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
      const reason =
        error.code === 'ENOENT' ? 'no such file' : error.code === 'EISDIR' ? 'it is a folder' : String(error.code);
      throw new UserError(`cannot read ${file}: ${reason}`);
    });
    try {
      const folder = path.dirname(path.resolve(file));
      const model = readModel(bytes);
      checkExternalFiles(model, folder);
      const known = readSmallWeights(model, folder);
      return new ModelHost(file, createHash('sha256').update(bytes).digest('hex'), known, options);
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
  program(request: object, compile: (model: Model) => Model): Promise<Session> {
    const key = this.#key(request);
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
    const stored = await this.#readCache(key);
    if (stored !== undefined) {
      this.#models.set(key, readModel(stored));
      return this.#open(stored);
    }
    const program = compile(this.model);
    this.#models.set(key, program);
    const bytes = writeModel(program, { weightsIn: path.basename(this.path) });
    const session = await this.#open(bytes);
    await this.#writeCache(`${key}.onnx`, bytes);
    return session;
  }

  /** Whether this program's outputs were once found equal to the unmodified model's, in any process. */
  async isChecked(request: object): Promise<boolean> {
    const key = this.#key(request);
    if (this.#checked.has(key)) return true;
    if (this.#cacheFolder === undefined) return false;
    return readFile(path.join(this.#cacheFolder, `${key}.checked`)).then(
      () => true,
      () => false,
    );
  }

  async rememberChecked(request: object): Promise<void> {
    const key = this.#key(request);
    this.#checked.add(key);
    await this.#writeCache(`${key}.checked`, new Uint8Array());
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
      this.sha256,
      path.basename(this.path),
      opsetOf(this.model),
      this.options.optimization ?? 'all',
      request,
    ]);
    return createHash('sha256').update(text).digest('hex').slice(0, 40);
  }

  #open(bytes: Uint8Array): Promise<Session> {
    const options = { ...this.options, weightsFolder: path.dirname(path.resolve(this.path)) };
    return this.options.isolated ? openIsolatedSession(bytes, options) : openSession(bytes, options);
  }

  get #cacheFolder(): string | undefined {
    const { cache } = this.options;
    if (cache === false) return undefined;
    return cache ?? path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'onnxray');
  }

  async #readCache(key: string): Promise<Uint8Array | undefined> {
    if (this.#cacheFolder === undefined) return undefined;
    return readFile(path.join(this.#cacheFolder, `${key}.onnx`)).catch(() => undefined);
  }

  /** Written beside and moved into place, so that another process never reads half a file; a full or read-only disk is no error. */
  async #writeCache(name: string, bytes: Uint8Array): Promise<void> {
    const folder = this.#cacheFolder;
    if (folder === undefined) return;
    const partial = path.join(folder, `${name}.${process.pid}.partial`);
    await mkdir(folder, { recursive: true })
      .then(() => writeFile(partial, bytes))
      .then(() => rename(partial, path.join(folder, name)))
      .catch(() => undefined);
  }
}
