/** Finds a model and the files beside it on the disk; in Node only. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../onnx/index.ts';
import { modelFolder } from './folder.ts';
import type { Json, ModelFolder } from './folder.ts';

/** The float32 model first, then what is nearest to it. */
const VARIANTS = ['model.onnx', 'model_fp16.onnx', 'model_quantized.onnx', 'model_int8.onnx', 'model_uint8.onnx'];

/** Files that make up one model, as exporters write them; each in the variants above. */
const SEVERAL = [
  ['vision_model', 'text_model'],
  ['encoder_model', 'decoder_model'],
] as const;

/**
 * Opens a model file, or a folder that holds one (`model.onnx` or `onnx/model.onnx`, else a float16 or quantised variant,
 * else the only .onnx there is, else the files of CLIP's towers or of encoder and decoder), and reads config.json, tokenizer.json, tokenizer_config.json, special_tokens_map.json and
 * preprocessor_config.json from beside the model or one folder up.
 * @throws UserError when there is no such file, no model or more than one in the folder, or a file isn't JSON.
 */
export function openModel(location: string): ModelFolder {
  const [modelPath, ...parts] = findModel(location);
  const folder = path.dirname(modelPath);
  const searched = [folder, path.dirname(path.resolve(folder))].filter(
    (each, index) => index === 0 || belongs(each, location, folder),
  );
  const read = (name: string): Json | undefined => readBeside(name, searched);
  const found = modelFolder(modelPath, read, searched);
  return parts.length === 0 ? found : { ...found, parts };
}

function findModel(location: string): readonly [string, ...string[]] {
  const stats = statSync(location, { throwIfNoEntry: false });
  if (!stats) throw new UserError(`there is no file or folder ${location}`);
  if (!stats.isDirectory()) return [location];
  const folders = [location, path.join(location, 'onnx')].filter((folder) => existsSync(folder));
  for (const variant of VARIANTS)
    for (const folder of folders) {
      const file = path.join(folder, variant);
      if (existsSync(file)) return [file];
    }
  for (const [first, second] of SEVERAL)
    for (const variant of VARIANTS)
      for (const folder of folders) {
        const [file, other] = [first, second].map((name) => path.join(folder, variant.replace('model', name))) as [
          string,
          string,
        ];
        if (existsSync(file) && existsSync(other)) return [file, other];
      }
  const candidates = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.onnx'))
      .sort()
      .map((name) => path.join(folder, name)),
  );
  if (candidates.length === 1) return [candidates[0]!];
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
