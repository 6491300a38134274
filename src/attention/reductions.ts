/** What is computed of attention probabilities within the graph, so that only answers leave it. */
import { int } from '../onnx/index.ts';
import type { GraphBuilder, ValueName } from '../onnx/index.ts';
import type { AttentionBlock } from './locate.ts';

/** Probabilities [batch, heads, rows, keys] of a block, and which queries the rows are. */
export interface Attended {
  readonly block: AttentionBlock;
  readonly probabilities: ValueName;
  /** What the softmax was taken of, of the same shape. */
  readonly scores: ValueName;
  /** A value of as many rows and keys, maybe of another block: positions are made from it, so that blocks share them. */
  readonly like: ValueName;
  /** Position of each row, int64 [rows]. */
  readonly rows: ValueName;
  /** How many keys come before the first query's own, int64 [1]; undefined for none. */
  readonly before: ValueName | undefined;
}

/** -sum p ln p over the keys of each query, in nats: [batch, heads, rows]. */
export function entropyByQuery(b: GraphBuilder, { probabilities: p }: Attended): ValueName {
  // 1e-30 ln 1e-30 is nothing beside any probability, and 0 ln 0 stays 0.
  return b.neg(b.sum(b.mul(p, b.log(b.add(p, b.scalar(1e-30, p)))), [3], false));
}

/**
 * The mean over queries of the entropy, [batch, heads]. No logarithm per element: as p = exp(s - L), L being the largest score
 * less the logarithm of the largest probability, the entropy is L - sum p s. (A product per head would be seven times slower
 * in onnxruntime than the elements' products and their sum.)
 */
export function meanEntropy(b: GraphBuilder, { probabilities: p, scores, like }: Attended): ValueName {
  // Masked scores go down to -inf, and their probability is 0; 0 times -inf would be no number.
  const s = b.op('Max', [scores, b.scalar(-1e4, scores)]);
  const largest = b.op('Max', [b.max(p, [3], false), b.scalar(1e-30, p)]);
  const offset = b.mean(b.sub(b.max(s, [3], false), b.log(largest)), [2], false);
  return b.sub(offset, b.div(b.sum(b.mul(p, s), [2, 3], false), rowCount(b, like)));
}

/**
 * The mean over queries of the expected distance |query - key| in tokens, [batch, heads]. Where there are more keys than
 * queries, as with a cache, the last key is the last query's own.
 */
export function meanDistance(b: GraphBuilder, attended: Attended): ValueName {
  const { probabilities: p, like } = attended;
  const from = b.unsqueeze(ownKeys(b, attended), [1]);
  const apart = b.cast(b.abs(b.sub(from, b.unsqueeze(b.positions(like, 3), [0]))), b.type(p));
  return b.div(weighted(b, p, apart), rowCount(b, like));
}

/** The mean over queries of the largest probability, [batch, heads]: Voita et al. 2019, https://arxiv.org/abs/1905.09418. */
export function confidence(b: GraphBuilder, { probabilities: p }: Attended): ValueName {
  return b.mean(b.max(p, [3], false), [2], false);
}

/** The mean over queries of what each key receives, [batch, heads, keys]. */
export function received(b: GraphBuilder, { probabilities: p }: Attended): ValueName {
  return b.mean(p, [2], false);
}

/**
 * The mean probability of the key `offset` places after the query, over the queries that have such a key, [batch, heads]:
 * -1 the previous token, 1 the next, 0 the same. Picks one element per query instead of going through the matrix.
 */
export function massAtOffset(b: GraphBuilder, attended: Attended, offset: number): ValueName {
  const { probabilities: p, like } = attended;
  const zero = b.constant('int64', [], [0]);
  const length = b.squeeze(b.dimension(like, 3), [0]);
  const key = b.add(ownKeys(b, attended), b.constant('int64', [], [offset]));
  const there = b.and(b.greaterOrEqual(key, zero), b.less(key, length));
  const places = b.add(b.mul(b.positions(like, 2), length), b.where(there, key, zero));
  const counts = b.cast(there, b.type(p));
  const share = b.div(counts, b.op('Max', [b.sum(counts, [0], false), b.scalar(1, p)]));
  const flat = b.reshape(p, b.concat([b.dimension(p, 0), b.dimension(p, 1), b.int64s([-1])], 0));
  return b.matmul(b.gather(flat, places, 2), share);
}

/** Values and keys of the `count` largest probabilities of each query, [batch, heads, rows, count], largest first. */
export function topKeys(
  b: GraphBuilder,
  { probabilities: p }: Attended,
  count: number,
): { readonly values: ValueName; readonly keys: ValueName } {
  const name = b.unusedName('onnxray/TopK');
  const fits = b.op('Min', [b.int64s([count]), b.dimension(p, 3)]);
  const [values, keys] = [`${name}:0`, `${name}:1`];
  b.push({
    name,
    operator: 'TopK',
    domain: '',
    inputs: [p, fits],
    outputs: [values, keys],
    attributes: { axis: int(-1), largest: int(1), sorted: int(1) },
  });
  return { values, keys };
}

export const FUSIONS = ['mean', 'max', 'min'] as const;
export type HeadFusion = (typeof FUSIONS)[number];

/** Heads made one: [batch, heads, rows, keys] to [batch, rows, keys]. */
export function fuseHeads(b: GraphBuilder, p: ValueName, fusion: HeadFusion): ValueName {
  if (fusion === 'mean') return b.mean(p, [1], false);
  if (fusion === 'max') return b.max(p, [1], false);
  return b.op('ReduceMin', [p, b.int64s([1])], { keepdims: int(0) });
}

/** The key that stands where each row's query stands, int64 [rows]. */
function ownKeys(b: GraphBuilder, { rows, before }: Attended): ValueName {
  return before === undefined ? rows : b.add(rows, before);
}

/** sum over queries and keys of p * weight, [batch, heads]; the weight [queries, keys] is the same for all heads. */
function weighted(b: GraphBuilder, p: ValueName, weight: ValueName): ValueName {
  const lead = b.concat([b.dimension(p, 0), b.dimension(p, 1)], 0);
  const flat = b.reshape(p, b.concat([lead, b.int64s([-1])], 0));
  return b.squeeze(b.matmul(flat, b.reshapeTo(weight, [-1, 1])), [2]);
}

const rowCount = (b: GraphBuilder, p: ValueName): ValueName => b.count(p, [2], p);
