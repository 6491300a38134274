/** What heads attend to, in numbers: Clark et al. 2019, https://arxiv.org/abs/1906.04341, and after. */
import type { Scores } from '../explanation/index.ts';
import type { NamedTensors } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import type { CaptureOptions } from './capture.ts';
import { captureAttention } from './capture.ts';
import type { AttentionBlock } from './locate.ts';

/** The tokens a block's keys stand for, one flag each. */
export type TokenClasses = Readonly<Record<string, readonly boolean[]>>;

/** What is known of the tokens of a text. */
export interface TokenText {
  readonly tokens: readonly string[];
  /** Whether the token stands for no part of the text: [CLS], [SEP], padding. */
  readonly special: readonly boolean[];
  /** Token ids, for what is rare. */
  readonly ids?: readonly number[];
}

const CLS = new Set(['[CLS]', '<s>', '<cls>', '<|startoftext|>', '<bos>', '<|begin_of_text|>']);
const SEP = new Set(['[SEP]', '</s>', '<sep>', '<|endoftext|>', '<eos>', '<|end_of_text|>']);
/** What subword tokenizers put before or after pieces of words. */
const MARKS = /^(##|\u2581|\u0120)|(<\/w>|@@)$/g;

/**
 * Classes of a text's tokens: `cls`, `sep` by name and, where a text begins and ends with special tokens of other names, by
 * place; `punctuation`: all punctuation and symbols; `rare`: ids past the vocabulary's first `rareFrom` (vocabularies are
 * ordered by frequency, roughly), where that is asked for. Classes no token is of are left out.
 */
export function tokenClasses({ tokens, special, ids }: TokenText, rareFrom?: number): TokenClasses {
  const classes: Record<string, boolean[]> = {
    cls: tokens.map((token, at) => CLS.has(token) || (at === 0 && special[0] === true && !SEP.has(token))),
    sep: tokens.map((token, at) => at > 0 && (SEP.has(token) || (special[at] === true && isLast(special, at)))),
    punctuation: tokens.map((token, at) => special[at] !== true && isPunctuation(token.replaceAll(MARKS, ''))),
  };
  if (rareFrom !== undefined && ids !== undefined)
    classes['rare'] = ids.map((id, at) => special[at] !== true && id >= rareFrom);
  return Object.fromEntries(Object.entries(classes).filter(([, members]) => members.some(Boolean)));
}

/** Whether a special token follows the text's last piece. */
function isLast(special: readonly boolean[], at: number): boolean {
  return special[at - 1] === false && special.slice(at).every(Boolean);
}

const isPunctuation = (text: string): boolean => text !== '' && /^[\p{P}\p{S}]+$/u.test(text);

/** Means over queries of one block's heads; each of `masses` and the others is [batch, heads]. */
export interface HeadMeasures {
  readonly block: AttentionBlock;
  readonly queries: number;
  readonly keys: number;
  readonly entropy: Scores;
  /** Tokens; null for cross-attention. */
  readonly distance: Scores | null;
  readonly confidence: Scores;
  /**
   * Share of attention on `previous`, `next`, `same` (not of cross-attention), `first`, and on the classes of tokens given,
   * where the block's keys are as many as they.
   */
  readonly masses: Readonly<Record<string, Scores>>;
  /** What each key receives, [batch, heads, keys]. */
  readonly received: Scores;
}

export const OFFSETS = { previous: -1, next: 1, same: 0 } as const;

/** All measures of all heads (or of those asked for), from one forward pass, reduced in the graph. */
export async function measureHeads(
  host: ModelHost,
  tensors: NamedTensors,
  classes: TokenClasses = {},
  options: Pick<CaptureOptions, 'blocks' | 'heads' | 'queries' | 'signal'> = {},
): Promise<readonly HeadMeasures[]> {
  const offsets = Object.entries(OFFSETS);
  const blocks = await captureAttention(host, tensors, {
    ...options,
    values: ['size', 'entropy', 'distance', 'confidence', 'received', ...offsets.map(([, offset]) => ({ offset }))],
  });
  return blocks.map(({ block, values }) => {
    const received = values['received']!;
    const masses: Record<string, Scores> = {};
    for (const [name, offset] of offsets) {
      const mass = values[`offset ${offset}`];
      if (mass !== undefined) masses[name] = mass;
    }
    masses['first'] = massOn(received, [true]);
    for (const [name, members] of Object.entries(classes))
      if (members.length === received.dims[2]) masses[name] = massOn(received, members);
    return {
      block,
      queries: values['size']!.data[2]!,
      keys: values['size']!.data[3]!,
      entropy: values['entropy']!,
      distance: values['distance'] ?? null,
      confidence: values['confidence']!,
      masses,
      received,
    };
  });
}

/** Of what keys receive [batch, heads, keys], the share of some of them, [batch, heads]. */
function massOn({ dims, data }: Scores, members: readonly boolean[]): Scores {
  const [batch, heads, keys] = dims as [number, number, number];
  const result = new Float32Array(batch * heads);
  for (let at = 0; at < result.length; at++)
    for (let key = 0; key < members.length; key++) if (members[key]) result[at]! += data[at * keys + key]!;
  return { dims: [batch, heads], data: result };
}

/** A key that draws attention whatever the query. */
export interface Sink<Block> {
  readonly block: Block;
  readonly head: number;
  readonly key: number;
  /** Mean attention it receives. */
  readonly mass: number;
}

/**
 * Attention sinks of the batch's first row: keys that receive more than `threshold` on average over all queries; 0.3 unless
 * said, as in Gu et al. 2024, https://arxiv.org/abs/2410.10781; Xiao et al. 2023, https://arxiv.org/abs/2309.17453. Strongest
 * first.
 */
export function findSinks<Block>(
  received: readonly { readonly block: Block; readonly received: Scores }[],
  threshold = 0.3,
): Sink<Block>[] {
  const sinks: Sink<Block>[] = [];
  for (const { block, received: scores } of received) {
    const [, heads, keys] = scores.dims as [number, number, number];
    for (let head = 0; head < heads; head++)
      for (let key = 0; key < keys; key++) {
        const mass = scores.data[head * keys + key]!;
        if (mass > threshold) sinks.push({ block, head, key, mass });
      }
  }
  return sinks.sort((left, right) => right.mass - left.mass);
}
