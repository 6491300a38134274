/** Text to token ids and back: encoding, truncation, padding, and the ids of a neutral text to compare with. */
import { UserError } from '../onnx/index.ts';
import type { DataType, DenseTensor, NamedTensors, ValueInfo } from '../onnx/index.ts';
import type { Offsets } from './align.ts';
import type { TextTokenizer } from './text-tokenizer.ts';
import { tokenize } from './tokenize.ts';
import type { Piece } from './tokenize.ts';
import { wordIndices } from './words.ts';

/** A text (or a pair) as the model reads it. Arrays have one entry per token, special tokens and padding included. */
export interface TextEncoding {
  /** The model input the ids go to. */
  readonly input: string;
  /** All text inputs of the model: ids, mask, segment ids, positions; [1, T] in the model's own integer type. */
  readonly tensors: NamedTensors;
  readonly tokens: readonly string[];
  readonly ids: readonly number[];
  readonly texts: readonly string[];
  /** Half-open UTF-16 ranges of `texts[segment]`, without surrounding whitespace; null for special tokens and padding. */
  readonly offsets: readonly (Offsets | null)[];
  /** 0 or 1; null for special tokens and padding. */
  readonly segments: readonly (number | null)[];
  /** Index of the word within its text; null for special tokens and padding. */
  readonly words: readonly (number | null)[];
  /** Tokens of the texts that were cut off. */
  readonly truncated: number;
  /** Ids that can stand for "nothing", where the tokenizer has them. */
  readonly neutral: { readonly pad?: number; readonly mask?: number; readonly unk?: number };
}

export interface EncodeTextOptions {
  /** config.json of the model: `max_position_embeddings`, `model_type`, `pad_token_id`, `type_vocab_size` are used. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** A lower limit than the model's, special tokens included. */
  readonly maxTokens?: number;
}

/**
 * Encodes one text or a pair for the inputs the model declares (`input_ids`, `attention_mask`, `token_type_ids`,
 * `position_ids`, and their older names `input_mask`, `segment_ids`).
 *
 * Longer texts are cut to the tokenizer's `model_max_length`, the model's `max_position_embeddings` and a fixed sequence
 * length of the model, whichever is least; a pair loses from its longer text first; special tokens stay. A model with a
 * fixed length gets padding. The `truncation` and `padding` entries of tokenizer.json are left aside, as transformers does.
 * @throws UserError when a text is empty, when the model takes no text, or needs inputs that no text gives.
 */
export function encodeText(
  tokenizer: TextTokenizer,
  texts: readonly string[],
  inputs: readonly ValueInfo[],
  options: EncodeTextOptions = {},
): TextEncoding {
  const roles = textInputs(inputs);
  if (texts.length < 1 || texts.length > 2) throw new UserError(`expected one text or a pair, got ${texts.length}`);
  const all = texts.map((text, index) => {
    const pieces = /\S/.test(text) ? tokenize(tokenizer.pipeline, text) : [];
    if (pieces.length > 0) return pieces;
    const which = texts.length === 1 ? 'the text' : index === 0 ? 'the first text' : 'the second text';
    throw new UserError(/\S/.test(text) ? `${which} has no characters the tokenizer keeps` : `${which} is empty`);
  });
  const fixed = roles.ids.dims?.[1];
  const limit = tokenLimit(tokenizer, roles.ids, options);
  const kept = truncate(all, limit, tokenizer);
  const slots = addSpecialTokens(tokenizer, kept);
  if (typeof fixed === 'number') pad(slots, fixed, tokenizer);

  const wordLists = texts.map((text, segment) =>
    wordIndices(
      text,
      kept[segment]!.map((piece) => piece.offsets),
    ),
  );
  const ids = slots.map((slot) => slot.id);
  const tensors: Record<string, DenseTensor> = { [roles.ids.name]: integers(ids, roles.ids) };
  if (roles.mask)
    tensors[roles.mask.name] = integers(
      slots.map((slot) => (slot.padding ? 0 : 1)),
      roles.mask,
    );
  if (roles.types) {
    const most = Number(options.config?.['type_vocab_size'] ?? 2) - 1;
    tensors[roles.types.name] = integers(
      slots.map((slot) => Math.min(slot.type, Math.max(0, most))),
      roles.types,
    );
  }
  if (roles.positions) {
    let position = -1;
    tensors[roles.positions.name] = integers(
      slots.map((slot) => (slot.padding ? Math.max(0, position) : ++position)),
      roles.positions,
    );
  }
  const { pad: padToken, mask, unk } = tokenizer.special;
  return {
    input: roles.ids.name,
    tensors,
    tokens: slots.map((slot) => slot.token),
    ids,
    texts,
    offsets: slots.map((slot) => slot.piece?.offsets ?? null),
    segments: slots.map((slot) => (slot.piece ? slot.segment : null)),
    words: slots.map((slot) => (slot.piece ? wordLists[slot.segment]![slot.index]! : null)),
    truncated: all.flat().length - kept.flat().length,
    neutral: {
      ...(padToken && { pad: padToken.id }),
      ...(mask && { mask: mask.id }),
      ...(unk && { unk: unk.id }),
    },
  };
}

export type TextBaseline = 'pad' | 'mask' | 'unk' | 'zero';

/**
 * The ids of a text that says nothing: special tokens and padding stay, every other token becomes the tokenizer's pad,
 * mask or unknown token, or id 0. Same dims and type as the ids of `encoding`.
 * @throws UserError when the tokenizer has no such token.
 */
export function baselineIds(encoding: TextEncoding, kind: TextBaseline): DenseTensor {
  const id = kind === 'zero' ? 0 : encoding.neutral[kind];
  if (id === undefined) {
    const has = [...Object.keys(encoding.neutral), 'zero'].join(', ');
    throw new UserError(`the tokenizer has no ${kind} token for the baseline; use one of: ${has}`);
  }
  const given = encoding.tensors[encoding.input]!;
  const ids = encoding.ids.map((own, index) => (encoding.offsets[index] === null ? own : id));
  return integers(ids, given);
}

function integers(values: readonly number[], { type }: { readonly type: DataType }): DenseTensor {
  const data = type === 'int32' ? Int32Array.from(values) : BigInt64Array.from(values, BigInt);
  return { type, dims: [1, values.length], data };
}

const ROLES = {
  ids: /^(?:input_ids|inputs?_ids?|ids|tokens)(?::0)?$/,
  mask: /^(?:attention_mask|input_mask|mask)(?::0)?$/,
  /** What a decoder has written so far, of a model that reads something else: a picture, sound. */
  written: /^decoder_input_ids(?::0)?$/,
  types: /^(?:token_type_ids|segment_ids)(?::0)?$/,
  positions: /^position_ids(?::0)?$/,
} as const;

type TextInputs = { readonly ids: ValueInfo } & {
  readonly [role in Exclude<keyof typeof ROLES, 'ids' | 'written'>]: ValueInfo | undefined;
};

/** Whether these inputs are those of a text model: integer token ids, with a mask or segment ids beside them or not. */
export function takesText(inputs: readonly ValueInfo[]): boolean {
  return inputs.some((input) => isIntegers(input) && (ROLES.ids.test(input.name) || ROLES.written.test(input.name)));
}

function textInputs(inputs: readonly ValueInfo[]): TextInputs {
  const find = (role: keyof typeof ROLES): ValueInfo | undefined =>
    inputs.find((input) => isIntegers(input) && ROLES[role].test(input.name));
  const ids = find('ids') ?? find('written');
  if (!ids)
    throw new UserError(
      `the model takes no text: it has no integer input "input_ids" (its inputs: ${names(inputs) || 'none'}); use --inputs`,
    );
  const roles = { ids, mask: find('mask'), types: find('types'), positions: find('positions') };
  const used = Object.values(roles);
  const others = inputs.filter((input) => !used.includes(input));
  if (others.length > 0)
    throw new UserError(`the model also needs ${names(others)}, which a text does not give; use --inputs`);
  return roles;
}

function names(list: readonly ValueInfo[]): string {
  return list.map((input) => `"${input.name}"`).join(', ');
}

function isIntegers({ type, dims }: ValueInfo): boolean {
  return (type === 'int64' || type === 'int32') && (dims === undefined || dims.length === 2);
}

/** The most tokens the model reads, special tokens included; Infinity when nothing says. */
function tokenLimit(tokenizer: TextTokenizer, ids: ValueInfo, { config, maxTokens }: EncodeTextOptions): number {
  const limits = [tokenizer.modelMaxLength, maxTokens];
  const positions = config?.['max_position_embeddings'];
  if (typeof positions === 'number' && positions > 0) {
    // The RoBERTa family counts positions from pad_token_id + 1 on.
    const offset = /roberta|camembert|xlm-r|longformer|mpnet|bigbird|esm/i.test(String(config?.['model_type'] ?? ''))
      ? Number(config?.['pad_token_id'] ?? 1) + 1
      : 0;
    limits.push(positions - offset);
  }
  const fixed = ids.dims?.[1];
  if (typeof fixed === 'number') limits.push(fixed);
  return Math.min(...limits.filter((limit): limit is number => limit !== undefined));
}

/** Cuts the texts so that they fit with their special tokens; of a pair, the longer one first. */
function truncate(all: readonly Piece[][], limit: number, tokenizer: TextTokenizer): readonly Piece[][] {
  const specials = addSpecialTokens(
    tokenizer,
    all.map(() => []),
  ).length;
  const room = limit - specials;
  if (room < all.length)
    throw new UserError(`the limit of ${limit} tokens leaves no room for the text beside ${specials} special tokens`);
  const cut = (pieces: Piece[], length: number): Piece[] =>
    tokenizer.truncationSide === 'left' ? pieces.slice(Math.max(0, pieces.length - length)) : pieces.slice(0, length);
  const [first, second] = all as [Piece[], Piece[] | undefined];
  if (!second) return [cut(first, room)];
  if (first.length + second.length <= room) return all;
  const shorter = Math.min(first.length, second.length, Math.floor(room / 2));
  const longer = room - shorter;
  return first.length <= second.length
    ? [cut(first, shorter), cut(second, longer)]
    : [cut(first, longer), cut(second, shorter)];
}

/** A place in the model's input: a piece of a text, a special token or padding. */
interface Slot {
  readonly token: string;
  readonly id: number;
  readonly type: number;
  readonly segment: number;
  readonly index: number;
  readonly piece?: Piece;
  readonly padding?: boolean;
}

/** Runs the tokenizer's post-processor over place marks, so that its special tokens are known from the text's own. */
function addSpecialTokens(tokenizer: TextTokenizer, texts: readonly (readonly Piece[])[]): Slot[] {
  const { tokenizer: inner } = tokenizer.pipeline;
  const marks = texts.map((pieces, segment) => pieces.map((_, index) => `\u0000${segment}:${index}`));
  const [first, second] = marks as [string[], string[] | undefined];
  const processed = inner.post_processor
    ? inner.post_processor(first, second ?? null, true)
    : { tokens: [...first, ...(second ?? [])] };
  const tokens = [...processed.tokens];
  let types: readonly number[] | undefined = processed.token_type_ids;
  // A post-processor without templates (GPT-2's) forgets the second text; Hugging Face's own puts it behind the first.
  if (second && second.length > 0 && !tokens.includes(second[0]!)) {
    tokens.push(...second);
    types = undefined;
  }
  return tokens.map((token, position) => {
    const found = /^\0(\d):(\d+)$/.exec(token);
    const type = tokenizer.hasSegments ? (types?.[position] ?? Number(found?.[1] ?? 0)) : 0;
    if (!found) return { token, id: inner.token_to_id(token) ?? 0, type, segment: 0, index: 0 };
    const [segment, index] = [Number(found[1]), Number(found[2])];
    const piece = texts[segment]![index]!;
    return { token: piece.token, id: piece.id, type, segment, index, piece };
  });
}

function pad(slots: Slot[], length: number, tokenizer: TextTokenizer): void {
  if (slots.length >= length) return;
  const { pad: token } = tokenizer.special;
  if (!token)
    throw new UserError(
      `the model reads exactly ${length} tokens, the text has ${slots.length}, and the tokenizer has no pad token`,
    );
  const padding = Array.from({ length: length - slots.length }, () => ({
    ...token,
    type: 0,
    segment: 0,
    index: 0,
    padding: true,
  }));
  if (tokenizer.paddingSide === 'left') slots.unshift(...padding);
  else slots.push(...padding);
}
