/** A model as people keep it: an .onnx file, or a folder as on the Hugging Face hub. Node only: it reads files. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../onnx/index.ts';
import type { ValueInfo } from '../onnx/index.ts';
import { takesImage, takesText } from '../inputs/index.ts';
import type { TokenizerFiles } from '../inputs/index.ts';

export type Task = 'text-classification' | 'image-classification' | 'tensor';
export type Json = Readonly<Record<string, unknown>>;

/** A model file with the files that lie beside it, parsed. */
export interface ModelFolder {
  readonly modelPath: string;
  /** config.json */
  readonly config?: Json;
  readonly tokenizerFiles?: TokenizerFiles;
  /** preprocessor_config.json */
  readonly preprocessor?: Json;
  /** Guessed from what the configuration says, and the files there are; see `guessTask` for the model's own say. */
  readonly task: Task;
  /** Names of the classes in order, from the configuration's `id2label`; absent when it only says LABEL_0, LABEL_1, ... */
  readonly labels?: readonly string[];
  /** Folders that were looked through for the other files, nearest first. */
  readonly searched: readonly string[];
}

/** The float32 model first, then what is nearest to it. */
const VARIANTS = ['model.onnx', 'model_fp16.onnx', 'model_quantized.onnx', 'model_int8.onnx', 'model_uint8.onnx'];

/**
 * Opens a model file, or a folder that holds one (`model.onnx` or `onnx/model.onnx`, else a float16 or quantised variant,
 * else the only .onnx there is), and reads config.json, tokenizer.json, tokenizer_config.json, special_tokens_map.json and
 * preprocessor_config.json from beside the model or one folder up.
 * @throws UserError when there is no such file, no model or more than one in the folder, or a file isn't JSON.
 */
export function openModel(location: string): ModelFolder {
  const modelPath = findModel(location);
  const folder = path.dirname(modelPath);
  const searched = [folder, path.dirname(path.resolve(folder))].filter(
    (each, index) => index === 0 || belongs(each, location, folder),
  );
  const read = (name: string): Json | undefined => readBeside(name, searched);
  const config = read('config.json');
  const preprocessor = read('preprocessor_config.json');
  const tokenizer = read('tokenizer.json');
  const tokenizerConfig = tokenizer && read('tokenizer_config.json');
  const specialTokens = tokenizer && read('special_tokens_map.json');
  const tokenizerFiles = tokenizer && {
    tokenizer,
    ...(tokenizerConfig && { config: tokenizerConfig }),
    ...(specialTokens && { specialTokens }),
  };
  const labels = config && labelsOf(config);
  const found = {
    modelPath,
    ...(config && { config }),
    ...(tokenizerFiles && { tokenizerFiles }),
    ...(preprocessor && { preprocessor }),
  };
  return { ...found, task: guessTask(found), ...(labels && { labels }), searched };
}

/**
 * What a model is for: by the architecture its configuration names and, where given, its inputs; `tensor` where the two
 * disagree or the architecture is for something else. Without either, by the files that lie beside the model.
 */
export function guessTask(
  folder: Pick<ModelFolder, 'config' | 'tokenizerFiles' | 'preprocessor'>,
  inputs?: readonly ValueInfo[],
): Task {
  const architectures = folder.config?.['architectures'];
  const names = Array.isArray(architectures) ? architectures.join(' ') : '';
  const said: Task | undefined = names.includes('ForSequenceClassification')
    ? 'text-classification'
    : names.includes('ForImageClassification')
      ? 'image-classification'
      : /For[A-Z]/.test(names)
        ? 'tensor'
        : undefined;
  if (inputs) {
    const text = takesText(inputs) && folder.tokenizerFiles !== undefined;
    const possible = text
      ? 'text-classification'
      : takesImage(inputs) && inputs.length === 1
        ? 'image-classification'
        : 'tensor';
    return said === undefined || said === possible ? possible : 'tensor';
  }
  if (said) return said;
  if (folder.tokenizerFiles && !folder.preprocessor) return 'text-classification';
  if (folder.preprocessor && !folder.tokenizerFiles) return 'image-classification';
  return 'tensor';
}

/**
 * The tokenizer's files, for a person who gave a text.
 * @throws UserError saying which file was looked for, and where, when there is none.
 */
export function requireTokenizer(folder: ModelFolder): TokenizerFiles {
  if (folder.tokenizerFiles) return folder.tokenizerFiles;
  throw new UserError(
    `a text needs the model's tokenizer.json (and tokenizer_config.json), which is not in ${folder.searched.join(' nor in ')}; put it beside the model, or pass token ids with --inputs`,
  );
}

/** `id2label` in order; undefined when absent, with gaps, or when it only says LABEL_0, LABEL_1, ... */
export function labelsOf(config: Json): readonly string[] | undefined {
  const names = config['id2label'];
  if (typeof names !== 'object' || names === null) return undefined;
  const labels = Object.values(names).map((_, index) => (names as Readonly<Record<string, unknown>>)[String(index)]);
  if (labels.length === 0 || !labels.every((label): label is string => typeof label === 'string')) return undefined;
  return labels.every((label, index) => label === `LABEL_${index}`) ? undefined : labels;
}

function findModel(location: string): string {
  const stats = statSync(location, { throwIfNoEntry: false });
  if (!stats) throw new UserError(`there is no file or folder ${location}`);
  if (!stats.isDirectory()) return location;
  const folders = [location, path.join(location, 'onnx')].filter((folder) => existsSync(folder));
  for (const variant of VARIANTS)
    for (const folder of folders) {
      const file = path.join(folder, variant);
      if (existsSync(file)) return file;
    }
  const candidates = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.onnx'))
      .sort()
      .map((name) => path.join(folder, name)),
  );
  if (candidates.length === 1) return candidates[0]!;
  if (candidates.length > 1) {
    const list = candidates.map((file) => path.relative(location, file)).join(', ');
    throw new UserError(`${location} holds several models: ${list}; give the one you mean`);
  }
  throw new UserError(
    `no model in ${location}: looked for model.onnx, onnx/model.onnx, their fp16 and quantized variants, and any .onnx`,
  );
}

/** Whether the folder above is part of the model: a person named it, or the model lies in `onnx/`, or only it has config.json. */
function belongs(parent: string, location: string, folder: string): boolean {
  return (
    path.resolve(location) === parent ||
    path.basename(path.resolve(folder)) === 'onnx' ||
    (existsSync(path.join(parent, 'config.json')) && !existsSync(path.join(folder, 'config.json')))
  );
}

function readBeside(name: string, folders: readonly string[]): Json | undefined {
  for (const folder of folders) {
    const file = path.join(folder, name);
    if (!existsSync(file)) continue;
    let value: unknown;
    try {
      value = JSON.parse(readFileSync(file, 'utf8'));
    } catch (error) {
      throw new UserError(`${file} is not valid JSON: ${(error as Error).message}`, { cause: error });
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new UserError(`${file} is not a JSON object`);
    return value as Json;
  }
  return undefined;
}
