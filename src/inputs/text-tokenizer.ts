/** A tokenizer as it lies on disk (tokenizer.json and its companions), ready to encode. */
import { UserError } from '../onnx/index.ts';
import { createTokenizer } from './huggingface.ts';
import type { HuggingFaceTokenizer } from './huggingface.ts';
import { pipelineOf } from './tokenize.ts';
import type { Pipeline } from './tokenize.ts';

/** Parsed JSON of the files a tokenizer is made of. */
export interface TokenizerFiles {
  /** tokenizer.json */
  readonly tokenizer: unknown;
  /** tokenizer_config.json */
  readonly config?: unknown;
  /** special_tokens_map.json */
  readonly specialTokens?: unknown;
}

export interface SpecialToken {
  readonly token: string;
  readonly id: number;
}

export interface TextTokenizer {
  readonly pipeline: Pipeline;
  readonly special: {
    readonly pad: SpecialToken | undefined;
    readonly mask: SpecialToken | undefined;
    readonly unk: SpecialToken | undefined;
  };
  /** `model_max_length` of tokenizer_config.json, when it is a real limit. */
  readonly modelMaxLength: number | undefined;
  readonly truncationSide: 'left' | 'right';
  readonly paddingSide: 'left' | 'right';
  /** Whether the second text of a pair gets segment id 1; RoBERTa's doesn't. */
  readonly hasSegments: boolean;
}

/**
 * Makes a tokenizer from the parsed JSON of its files.
 * @throws UserError when tokenizer.json is not a tokenizer, or uses a part that `@huggingface/tokenizers` doesn't know.
 */
export function loadTokenizer(files: TokenizerFiles): TextTokenizer {
  const json = files.tokenizer;
  if (!isRecord(json) || !isRecord(json['model']))
    throw new UserError('tokenizer.json is not a tokenizer: it has no "model"');
  const config = isRecord(files.config) ? files.config : {};
  const map = isRecord(files.specialTokens) ? files.specialTokens : {};
  const complete = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    ...json,
  };
  const named = (name: string): string | undefined => contentOf(config[name]) ?? contentOf(map[name]);
  const eos = named('eos_token');
  let inner: HuggingFaceTokenizer;
  let pipeline: Pipeline;
  try {
    inner = createTokenizer(complete, eos === undefined ? config : { ...config, eos_token: eos });
    pipeline = pipelineOf(inner, complete, config);
  } catch (error) {
    throw new UserError(`tokenizer.json can't be used: ${(error as Error).message}`, { cause: error });
  }
  const special = (name: string, ...usual: readonly (string | null | undefined)[]): SpecialToken | undefined => {
    for (const token of [named(name), ...usual]) {
      const id = token === undefined || token === null ? undefined : inner.token_to_id(token);
      if (token !== undefined && token !== null && id !== undefined) return { token, id };
    }
    return undefined;
  };
  const limit = config['model_max_length'];
  const processor = complete.post_processor as unknown;
  return {
    pipeline,
    special: {
      pad: special('pad_token', '[PAD]', '<pad>'),
      mask: special('mask_token', '[MASK]', '<mask>'),
      unk: special('unk_token', inner.model.unk_token),
    },
    // transformers writes 1e30 for "no limit".
    modelMaxLength: typeof limit === 'number' && limit > 0 && limit < 1e9 ? limit : undefined,
    truncationSide: config['truncation_side'] === 'left' ? 'left' : 'right',
    paddingSide: config['padding_side'] === 'left' ? 'left' : 'right',
    hasSegments: !(isRecord(processor) && processor['type'] === 'RobertaProcessing'),
  };
}

/** A token written as its text or as `{ "content": text }`. */
function contentOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return isRecord(value) && typeof value['content'] === 'string' ? value['content'] : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
