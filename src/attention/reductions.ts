/** What is computed of attention probabilities within the graph, so that only answers leave it. */
import { int, ints } from '../onnx/index.ts';
import type { GraphBuilder, ValueName } from '../onnx/index.ts';

/**
 * Blocks whose probabilities are known to be of one shape, and which queries their rows are. What goes through whole matrices
 * is done block by block, where the numbers are still in the processor's cache; what comes of it is joined along the heads
 * and finished for all blocks at once, because in a short pass the number of nodes is what costs.
 */
export interface Attended {
  /** Of each block, [batch, heads, rows, keys]. */
  readonly probabilities: readonly ValueName[];
  /** What the softmax was taken of, of the same shape. */
  readonly scores: readonly ValueName[];
  /** Position of each row, int64 [rows]. */
  readonly rows: ValueName;
  /** How many keys come before the first query's own, int64 [1]; undefined for none. */
  readonly before: ValueName | undefined;
}

/** Of each block [batch, heads, ...]: of all, [batch, heads of all, ...]. */
function joined(b: GraphBuilder, values: readonly ValueName[]): ValueName {
  return values.length === 1 ? values[0]! : b.concat(values, 1);
}

/** A value of as many rows and keys as all of them. */
const like = ({ probabilities }: Attended): ValueName => probabilities[0]!;

/** The largest probability of each query, [batch, heads of all, rows]. */
function largest(b: GraphBuilder, { probabilities }: Attended): ValueName {
  return joined(
    b,
    probabilities.map((p) => b.max(p, [3], false)),
  );
}

/**
 * -sum p ln p over the keys of each query, in nats: [batch, heads of all, rows]. No logarithm per element: as
 * p = exp(s - L), L being the largest score less the logarithm of the largest probability, the entropy is L - sum p s.
 * (A product per head would be seven times slower in onnxruntime than the elements' products and their sum.)
 */
export function entropyByQuery(b: GraphBuilder, attended: Attended): ValueName {
  const { probabilities, scores } = attended;
  const highest = joined(
    b,
    scores.map((s) => b.max(s, [3], false)),
  );
  const expected = joined(
    b,
    scores.map((s, at) => {
      const p = probabilities[at]!;
      // Masked scores go down to -inf, and their probability is 0; 0 times -inf would be no number.
      return b.sum(b.mul(p, b.op('Max', [s, b.scalar(-1e4, s)])), [3], false);
    }),
  );
  const top = b.op('Max', [largest(b, attended), b.scalar(1e-30, expected)]);
  return b.op('Max', [b.sub(b.sub(highest, b.log(top)), expected), b.scalar(0, expected)]);
}

/** The mean over queries of the entropy, [batch, heads of all, 1]. */
export function meanEntropy(b: GraphBuilder, attended: Attended): ValueName {
  return b.mean(entropyByQuery(b, attended), [2]);
}

/**
 * The mean over queries of the expected distance |query - key| in tokens, [batch, heads of all, 1]. Where there are more keys
 * than queries, as with a cache, the last key is the last query's own.
 */
export function meanDistance(b: GraphBuilder, attended: Attended): ValueName {
  const p = like(attended);
  const from = b.unsqueeze(ownKeys(b, attended), [1]);
  const apart = b.cast(b.abs(b.sub(from, b.unsqueeze(b.positions(p, 3), [0]))), b.type(p));
  const weight = b.reshapeTo(apart, [-1, 1]);
  const total = joined(
    b,
    attended.probabilities.map((each) => b.matmul(byHead(b, each), weight)),
  );
  return b.div(total, b.count(p, [2], p));
}

/** The mean over queries of the largest probability, [batch, heads of all, 1]: Voita et al. 2019, https://arxiv.org/abs/1905.09418. */
export function confidence(b: GraphBuilder, attended: Attended): ValueName {
  return b.mean(largest(b, attended), [2]);
}

/** The mean over queries of what each key receives, [batch, heads of all, keys]. */
export function received(b: GraphBuilder, { probabilities }: Attended): ValueName {
  return joined(
    b,
    probabilities.map((p) => b.mean(p, [2], false)),
  );
}

/**
 * The mean probability of the keys `offsets` places after the query, over the queries that have such a key, [batch, heads of
 * all, offsets]: -1 the previous token, 1 the next, 0 the same. Picks elements instead of going through the matrix.
 */
export function massAtOffsets(b: GraphBuilder, attended: Attended, offsets: readonly number[]): ValueName {
  const p = like(attended);
  const zero = b.constant('int64', [], [0]);
  const length = b.squeeze(b.dimension(p, 3), [0]);
  const shift = b.constant('int64', [offsets.length, 1], offsets);
  const key = b.add(b.unsqueeze(ownKeys(b, attended), [0]), shift);
  const there = b.and(b.greaterOrEqual(key, zero), b.less(key, length));
  const places = b.add(b.mul(b.positions(p, 2), length), b.where(there, key, zero));
  const counts = b.cast(there, b.type(p));
  const share = b.div(counts, b.op('Max', [b.sum(counts, [1]), b.scalar(1, p)]));
  const picked = joined(
    b,
    attended.probabilities.map((each) => b.gather(byHead(b, each), places, 2)),
  );
  return b.sum(b.mul(picked, share), [3], false);
}

/** Values and keys of the `count` largest probabilities of each query, [batch, heads, rows, count], largest first. */
export function topKeys(
  b: GraphBuilder,
  p: ValueName,
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

/** The greatest probability of each square of `size` queries and keys, those at the ends smaller: [batch, heads, rows, columns]. */
export function greatestOfCells(b: GraphBuilder, p: ValueName, size: number): ValueName {
  if (size === 1) return p;
  return b.op('MaxPool', [p], {
    kernel_shape: ints([size, size]),
    strides: ints([size, size]),
    ceil_mode: int(1),
  });
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

/** [batch, heads, rows, keys] as [batch, heads, rows * keys]. */
const byHead = (b: GraphBuilder, p: ValueName): ValueName => b.reshapeTo(p, [0, 0, -1]);
