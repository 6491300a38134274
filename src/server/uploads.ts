/** Models dropped on the page: streamed to a private folder under names of our own, within limits. */
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { UserError } from '../onnx/index.ts';
import { JSON_FILES } from '../tasks/index.ts';

/** Bytes and counts a person may drop. */
export interface UploadLimits {
  /** Of one model with all its files. Default 4 GiB. */
  readonly modelBytes: number;
  /** Of all models that were dropped. Default 16 GiB. */
  readonly totalBytes: number;
  /** Of one picture. Default 32 MiB. */
  readonly pictureBytes: number;
  /** Of a JSON body. Default 1 MiB. */
  readonly jsonBytes: number;
  /** Dropped models kept at once. Default 16. */
  readonly models: number;
  /** Milliseconds after which a model is given up of which nothing more came. Default 10 minutes. */
  readonly idle: number;
}

export const DEFAULT_LIMITS: UploadLimits = {
  modelBytes: 4 * 2 ** 30,
  totalBytes: 16 * 2 ** 30,
  pictureBytes: 32 * 2 ** 20,
  jsonBytes: 2 ** 20,
  models: 16,
  idle: 10 * 60_000,
};

/** Files a model folder may have beside the model. */
const COMPANIONS: ReadonlySet<string> = new Set(JSON_FILES);

/** Too much was sent; answered with 413. */
export class TooLargeError extends UserError {}

/**
 * The name a dropped file is stored under. The model's own name never reaches the disk; weights beside it keep theirs, since
 * the model refers to them, when it is a plain one.
 * Throws a UserError for anything else.
 */
export function storedName(name: string): string {
  if (COMPANIONS.has(name)) return name;
  if (name.toLowerCase().endsWith('.onnx')) return 'model.onnx';
  if (/^[A-Za-z0-9_][A-Za-z0-9_.+ -]{0,127}$/.test(name) && !name.includes('..')) return name;
  throw new UserError(
    'that file name is not taken: give .onnx files, their configuration, and weight files of plain names',
  );
}

interface Upload {
  readonly folder: string;
  bytes: number;
  name: string | undefined;
  /** Gives it up, unless more of it comes or it is finished. */
  readonly expiry: NodeJS.Timeout;
}

/** The folders of dropped models; `close` removes them all. */
export class Uploads {
  readonly #limits: UploadLimits;
  readonly #folders = new Map<string, Upload>();
  #root: Promise<string> | undefined;

  constructor(limits: UploadLimits) {
    this.#limits = limits;
  }

  /** Starts a model; its files follow. Throws a UserError when there are too many. */
  async begin(): Promise<string> {
    if (this.#folders.size >= this.#limits.models)
      throw new UserError(`${this.#limits.models} models were dropped already: remove one to drop more`);
    const id = randomUUID();
    // Taken before anything is awaited, so that many requests at once cannot pass the limit.
    const expiry = setTimeout(() => void this.discard(id), this.#limits.idle).unref();
    const reserved = { folder: '', bytes: 0, name: undefined, expiry };
    this.#folders.set(id, reserved);
    this.#root ??= mkdtemp(path.join(tmpdir(), 'onnxray-studio-'));
    const folder = path.join(await this.#root, id);
    await mkdir(folder, { mode: 0o700 });
    this.#folders.set(id, { ...reserved, folder });
    return id;
  }

  /** Throws TooLargeError when a model of so many bytes would not be taken. */
  allow(bytes: number): void {
    if (bytes > this.#limits.modelBytes) throw this.#tooLarge();
    if (this.#bytes + bytes > this.#limits.totalBytes) throw this.#tooMuch();
  }

  /** Of all uploads. */
  get #bytes(): number {
    let bytes = 0;
    for (const upload of this.#folders.values()) bytes += upload.bytes;
    return bytes;
  }

  /** Stores one file. Throws a UserError for a name that is not taken, TooLargeError beyond the limit. */
  async store(id: string, name: string, body: ReadableStream<Uint8Array>, declared: number | undefined): Promise<void> {
    const upload = this.#find(id);
    const stored = storedName(name);
    if (declared !== undefined) {
      if (upload.bytes + declared > this.#limits.modelBytes) throw this.#tooLarge();
      this.allow(declared);
    }
    if (stored === 'model.onnx') {
      if (upload.name !== undefined) throw new UserError('the folder holds several models: drop the one you mean');
      upload.name = name;
    }
    const count = new Transform({
      transform: (chunk: Uint8Array, _encoding, done) => {
        upload.bytes += chunk.length;
        upload.expiry.refresh();
        if (upload.bytes > this.#limits.modelBytes) done(this.#tooLarge());
        else if (this.#bytes > this.#limits.totalBytes) done(this.#tooMuch());
        else done(null, chunk);
      },
    });
    const file = path.join(upload.folder, stored);
    try {
      await pipeline(
        Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]),
        count,
        createWriteStream(file, { flags: 'wx', mode: 0o600 }),
      );
    } catch (error) {
      // Whatever went wrong, as a page that left: half a model is of no use.
      await this.discard(id);
      throw error;
    }
  }

  /** The folder of a finished upload and the name its model had. Throws a UserError when no model came. */
  finish(id: string): { readonly folder: string; readonly name: string } {
    const { folder, name, expiry } = this.#find(id);
    if (name === undefined) throw new UserError('there is no .onnx file among what was dropped');
    clearTimeout(expiry);
    return { folder, name };
  }

  async discard(id: string): Promise<void> {
    const upload = this.#folders.get(id);
    this.#folders.delete(id);
    clearTimeout(upload?.expiry);
    if (upload !== undefined && upload.folder !== '') await rm(upload.folder, { recursive: true, force: true });
  }

  async close(): Promise<void> {
    for (const { expiry } of this.#folders.values()) clearTimeout(expiry);
    this.#folders.clear();
    if (this.#root !== undefined) await rm(await this.#root, { recursive: true, force: true });
  }

  #tooLarge(): TooLargeError {
    return new TooLargeError(
      `a model with its files may have ${(this.#limits.modelBytes / 1e6).toFixed(0)} MB here; open larger ones with onnxray studio MODEL`,
    );
  }

  #tooMuch(): TooLargeError {
    return new TooLargeError(
      `all models that were dropped may have ${(this.#limits.totalBytes / 1e6).toFixed(0)} MB: remove one first`,
    );
  }

  #find(id: string): Upload {
    const upload = this.#folders.get(id);
    if (upload === undefined || upload.folder === '') throw new UserError('there is no such upload');
    return upload;
  }
}
