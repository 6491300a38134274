/** What is computed of attention probabilities within the graph, so that only answers leave it. */
import { int, ints } from '../onnx/index.ts';
import type { GraphBuilder, ValueName } from '../onnx/index.ts';
import type { ScoreParts } from './expected.ts';
import { expectedByHead, expectedByQuery, productOfRows } from './expected.ts';

/** A block's probabilities and what the softmax was taken of, [batch, heads, rows, keys]. */
export interface Attended {
  readonly probabilities: ValueName;
  readonly scores: ValueName;
  /** What the scores were made of, where that is known. */
  readonly parts: ScoreParts | undefined;
}

/** What is the same of all blocks whose probabilities are known to be of one shape. */
export interface Seats {
  /** A value of that shape. */
  readonly like: ValueName;
  /** Position of each row, int64 [rows]. */
  readonly rows: ValueName;
  /** How many keys come before the first query's own, int64 [1]; undefined for none. */
  readonly before: ValueName | undefined;
  /** Places after the query whose mass is asked for. */
  readonly offsets: readonly number[];
}

/**
 * What goes through the whole matrices of a block, [batch, heads, width] each. The rest is done with what comes of it, of many
 * blocks at once.
 */
export const PIECES = {
  /** The largest score of each query. */
  highest: {
    width: (b, { like }) => b.dimension(like, 2),
    of: (b, { scores }) => b.max(scores, [3], false),
  },
  /** The largest probability of each query. */
  largest: {
    width: (b, { like }) => b.dimension(like, 2),
    of: (b, { probabilities }) => b.max(probabilities, [3], false),
  },
  /** What the scores of each query are on average over its attention. */
  expected: {
    width: (b, { like }) => b.dimension(like, 2),
    of: (b, { probabilities, scores }) => expectedByQuery(b, probabilities, scores),
  },
  /** The sum of that over queries, of blocks whose scores are known in their parts. */
  expectedInAll: {
    width: (b) => b.int64s([1]),
    of: (b, { probabilities, parts }) => expectedByHead(b, probabilities, parts!),
  },
  /** The sum over queries of the expected distance. */
  distance: { width: (b) => b.int64s([1]), of: summedDistance },
  /** The mean over queries of what each key receives. */
  received: {
    width: (b, { like }) => b.dimension(like, 3),
    of: (b, { probabilities }) => b.mean(probabilities, [2], false),
  },
  /** The probability of the key at each offset from each query, some key's where there is none: query by query. */
  picked: {
    width: (b, { like, offsets }) => b.mul(b.dimension(like, 2), b.int64s([offsets.length])),
    of: (b, { probabilities }, seats) =>
      byHead(b, b.op('GatherElements', [probabilities, keysOfHeads(b, seats)], { axis: int(3) })),
  },
} as const satisfies Readonly<Record<string, PieceRule>>;

interface PieceRule {
  /** How many numbers it has of each head, int64 [1]. */
  readonly width: (b: GraphBuilder, seats: Seats) => ValueName;
  readonly of: (b: GraphBuilder, attended: Attended, seats: Seats) => ValueName;
}

export type Piece = keyof typeof PIECES;
/** Pieces of all blocks, [batch, heads of all, width]. */
export type Pieces = (piece: Piece) => ValueName;

/** Rows of all elements on both sides, whose product takes one pass and copies neither. */
function summedDistance(b: GraphBuilder, { probabilities: p }: Attended, seats: Seats): ValueName {
  const from = b.unsqueeze(ownKeys(b, seats), [1]);
  const float = (value: ValueName) => b.cast(value, b.type(p));
  const apart = b.abs(b.sub(float(from), float(b.unsqueeze(b.positions(seats.like, 3), [0]))));
  return productOfRows(b, b.unsqueeze(apart, [0, 1]), p);
}

/** What pieces come to: one number or row of numbers of each head. */
export interface Reduction {
  readonly pieces: readonly Piece[];
  readonly finish: (b: GraphBuilder, pieces: Pieces, seats: Seats) => ValueName;
}

/**
 * Of each query, [batch, heads of all, rows], the logarithm L of what the softmax divides by, and whether the query attends at
 * all. As p = exp(s - L), L is the largest score less the logarithm of the largest probability, and the entropy -sum p ln p is
 * L - sum p s: no logarithm per element.
 */
function logarithms(b: GraphBuilder, pieces: Pieces): { readonly log: ValueName; readonly attends: ValueName } {
  const highest = pieces('highest');
  const top = b.op('Max', [pieces('largest'), b.scalar(1e-30, highest)]);
  const attends = b.op('Greater', [highest, b.scalar(MASKED_SCORE, highest)]);
  return { log: b.sub(highest, b.log(top)), attends };
}

/** A query with no score above this is masked from all keys: what masks add is -1e4 at least. */
const MASKED_SCORE = -9e3;

const notNegative = (b: GraphBuilder, value: ValueName): ValueName => b.op('Max', [value, b.scalar(0, value)]);

/** The entropy of each query's attention in nats, [batch, heads of all, rows]; NaN for a query masked from all keys. */
export const entropyByQuery: Reduction = {
  pieces: ['highest', 'largest', 'expected'],
  finish(b, pieces) {
    const { log, attends } = logarithms(b, pieces);
    return b.where(attends, notNegative(b, b.sub(log, pieces('expected'))), b.scalar(Number.NaN, log));
  },
};

/** The mean of the entropy over the queries that attend, [batch, heads of all, 1]; NaN where none does. */
export const meanEntropy: Reduction = {
  pieces: ['highest', 'largest', 'expected'],
  finish(b, pieces) {
    const { log, attends } = logarithms(b, pieces);
    const entropy = notNegative(b, b.sub(log, pieces('expected')));
    const total = b.sum(b.where(attends, entropy, b.scalar(0, entropy)), [2]);
    return b.div(total, b.sum(b.cast(attends, b.type(entropy)), [2]));
  },
};

/** The same where the scores are known in their parts, and either all queries attend or none. */
export const meanEntropyOfParts: Reduction = {
  pieces: ['highest', 'largest', 'expectedInAll'],
  finish(b, pieces, { like }) {
    const { log, attends } = logarithms(b, pieces);
    const mean = b.div(b.sub(b.sum(log, [2]), pieces('expectedInAll')), b.count(like, [2], like));
    const some = b.op('Greater', [b.sum(b.cast(attends, b.type(log)), [2]), b.scalar(0, log)]);
    return b.where(some, notNegative(b, mean), b.scalar(Number.NaN, log));
  },
};

/**
 * The mean over queries of the expected distance |query - key| in tokens, [batch, heads of all, 1]. Where there are more keys
 * than queries, as with a cache, the last key is the last query's own.
 */
export const meanDistance: Reduction = {
  pieces: ['distance'],
  finish: (b, pieces, { like }) => b.div(pieces('distance'), b.count(like, [2], like)),
};

/** The mean over queries of the largest probability, [batch, heads of all, 1]: Voita et al. 2019, https://arxiv.org/abs/1905.09418. */
export const confidence: Reduction = {
  pieces: ['largest'],
  finish: (b, pieces) => b.mean(pieces('largest'), [2]),
};

/** The mean over queries of what each key receives, [batch, heads of all, keys]. */
export const received: Reduction = { pieces: ['received'], finish: (_, pieces) => pieces('received') };

/**
 * The mean probability of the keys some places after the query, over the queries that have such a key, [batch, heads of all,
 * offsets]: -1 the previous token, 1 the next, 0 the same. Picks elements instead of going through the matrix.
 */
export const massAtOffsets: Reduction = {
  pieces: ['picked'],
  finish(b, pieces, seats) {
    const { like, offsets } = seats;
    const counts = b.cast(keysAtOffsets(b, seats).there, b.type(like));
    const share = b.div(counts, b.op('Max', [b.sum(counts, [0]), b.scalar(1, like)]));
    const picked = b.reshapeTo(pieces('picked'), [0, 0, -1, offsets.length]);
    return b.sum(b.mul(picked, share), [2], false);
  },
};

/** For each row and offset, [rows, offsets]: whether there is such a key, and which it is. */
function keysAtOffsets(b: GraphBuilder, seats: Seats): { readonly there: ValueName; readonly keys: ValueName } {
  const { like, offsets } = seats;
  const zero = b.constant('int64', [], [0]);
  const length = b.squeeze(b.dimension(like, 3), [0]);
  const key = b.add(b.unsqueeze(ownKeys(b, seats), [1]), b.constant('int64', [1, offsets.length], offsets));
  const there = b.and(b.greaterOrEqual(key, zero), b.less(key, length));
  return { there, keys: b.where(there, key, zero) };
}

/** The same keys for every head, [batch, heads, rows, offsets]. */
function keysOfHeads(b: GraphBuilder, seats: Seats): ValueName {
  const { like, offsets } = seats;
  const shape = b.concat(
    [b.dimension(like, 0), b.dimension(like, 1), b.dimension(like, 2), b.int64s([offsets.length])],
    0,
  );
  return b.op('Expand', [keysAtOffsets(b, seats).keys, shape]);
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
function ownKeys(b: GraphBuilder, { rows, before }: Seats): ValueName {
  return before === undefined ? rows : b.add(rows, before);
}

/** [batch, heads, ...] as [batch, heads, all the rest]. */
const byHead = (b: GraphBuilder, p: ValueName): ValueName => b.reshapeTo(p, [0, 0, -1]);
