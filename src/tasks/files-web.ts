/** A model and its files in a browser: dropped on a page, or fetched. */
import { UserError } from '../onnx/index.ts';
import { JSON_FILES, modelFolder } from './folder.ts';
import type { Json, ModelFolder } from './folder.ts';

/** A model with what lies beside it. */
export interface ModelFiles {
  readonly model: Blob | ArrayBuffer | Uint8Array;
  /** What people know the model by; default `model.onnx`. */
  readonly name?: string;
  /** Parsed JSON by file name: config.json, tokenizer.json, tokenizer_config.json, special_tokens_map.json, preprocessor_config.json. */
  readonly json?: Readonly<Record<string, Json | undefined>>;
  /** Files that weights are in, by the path the model gives. */
  readonly weights?: Readonly<Record<string, Blob | Uint8Array>>;
}

/** What `openModel` finds in a folder in Node. */
export function folderOf({ name = 'model.onnx', json = {} }: ModelFiles): ModelFolder {
  return modelFolder(name, (file) => json[file], ['the files that were given']);
}

/**
 * Sorts files a person dropped or chose: one .onnx, JSON files, and the rest as weights by their name.
 * Throws a UserError when there is no .onnx file among them, or more than one, or a JSON file is broken.
 */
export async function sortModelFiles(files: Iterable<File>): Promise<ModelFiles> {
  const all = [...files];
  const models = all.filter(({ name }) => name.endsWith('.onnx'));
  if (models.length !== 1)
    throw new UserError(
      models.length === 0
        ? 'there is no .onnx file among these'
        : `there are several models among these: ${models.map(({ name }) => name).join(', ')}; give one`,
    );
  const json: Record<string, Json> = {};
  const weights: Record<string, Blob> = {};
  for (const file of all) {
    if (file === models[0]) continue;
    if (JSON_FILES.some((name) => name === file.name)) json[file.name] = parse(file.name, await file.text());
    else if (!file.name.endsWith('.json')) weights[file.name] = file;
  }
  return { model: models[0]!, name: models[0]!.name, json, weights };
}

/**
 * Fetches a model: the address of an .onnx file, or of a folder laid out as on the Hugging Face hub (`onnx/model.onnx` or
 * `model.onnx`). JSON files are looked for in the folder, for `onnx/` in the one above.
 * Throws a UserError when there is no model.
 */
export async function fetchModelFiles(url: string, { signal }: { signal?: AbortSignal } = {}): Promise<ModelFiles> {
  const init = signal === undefined ? {} : { signal };
  const base = new URL(url, globalThis.location.href);
  const isFile = base.pathname.endsWith('.onnx');
  const folder = new URL(
    isFile ? (base.pathname.endsWith('/onnx/model.onnx') ? '..' : '.') : `${base.pathname.replace(/\/?$/, '/')}`,
    base,
  );
  const candidates = isFile ? [base] : [new URL('onnx/model.onnx', folder), new URL('model.onnx', folder)];
  for (const address of candidates) {
    const response = await fetch(address, init).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw new UserError(`cannot load ${address.href}`, { cause: error });
    });
    if (!response.ok || isPage(response)) continue;
    const model = await response.blob();
    const texts = await Promise.all(
      JSON_FILES.map(async (name) => [name, await fetchText(new URL(name, folder), init)] as const),
    );
    const json = Object.fromEntries(
      texts.flatMap(([name, text]) => (text === undefined ? [] : [[name, parse(name, text)]])),
    );
    return { model, name: address.href, json };
  }
  throw new UserError(`there is no model at ${base.href}`);
}

async function fetchText(address: URL, init: RequestInit): Promise<string | undefined> {
  const response = await fetch(address, init).catch(() => undefined);
  return response?.ok && !isPage(response) ? response.text() : undefined;
}

/** Servers of single-page applications answer with their page for whatever is not there. */
function isPage(response: Response): boolean {
  return response.headers.get('content-type')?.startsWith('text/html') ?? false;
}

function parse(name: string, text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UserError(`${name} is not valid JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UserError(`${name} is not a JSON object`);
  return value as Json;
}
