/** A model as people keep it: an .onnx file and the JSON files beside it, as on the Hugging Face hub. */
import { UserError } from '../onnx/index.ts';
import type { ValueInfo } from '../onnx/index.ts';
import { takesImage, takesText } from '../inputs/core.ts';
import type { TokenizerFiles } from '../inputs/core.ts';

/** `image-text`: how alike a picture and a text are. */
export type Task = 'text-classification' | 'image-classification' | 'image-text' | 'tensor';
export type Json = Readonly<Record<string, unknown>>;

/** The JSON files that are looked for beside a model. */
export const JSON_FILES = [
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'preprocessor_config.json',
] as const;

/** A model file with the files that lie beside it, parsed. */
export interface ModelFolder {
  readonly modelPath: string;
  /** Further files of the same model, where a folder holds it in several. */
  readonly parts?: readonly string[];
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

/**
 * A model with the files beside it: `read` gives each by its name, parsed, and undefined where there is none.
 * @param modelPath what people know the model by.
 * @param searched where `read` looked, for a message that says so.
 */
export function modelFolder(
  modelPath: string,
  read: (name: string) => Json | undefined,
  searched: readonly string[],
): ModelFolder {
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
      ? takesImage(inputs)
        ? 'image-text'
        : 'text-classification'
      : takesImage(inputs) && inputs.length === 1
        ? 'image-classification'
        : 'tensor';
    return said === undefined || said === possible ? possible : 'tensor';
  }
  if (said) return said;
  if (folder.tokenizerFiles && !folder.preprocessor) return 'text-classification';
  if (folder.preprocessor && !folder.tokenizerFiles) return 'image-classification';
  if (folder.preprocessor && folder.tokenizerFiles) return 'image-text';
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
