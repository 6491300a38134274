/** Scaled dot-product attention over heads, in primitives, so that its probabilities are a Softmax anyone can find. */
import type { GraphBuilder } from '../builder.ts';
import type { ValueName } from '../model.ts';
import type { Dim } from '../tensor.ts';

/** [batch, length, heads * size] as [batch, heads, length, size]. */
export function splitHeads(b: GraphBuilder, x: ValueName, heads: number): ValueName {
  const width = b.dims(x)?.[2];
  const size = typeof width === 'number' ? width / heads : -1;
  return b.transpose(b.reshapeTo(x, [0, 0, heads, size]), [0, 2, 1, 3]);
}

/** [batch, heads, length, size] as [batch, length, heads * size]. */
export function joinHeads(b: GraphBuilder, x: ValueName): ValueName {
  const [, heads, , size] = b.dims(x) ?? [];
  const width = typeof heads === 'number' && typeof size === 'number' ? heads * size : -1;
  return b.reshapeTo(b.transpose(x, [0, 2, 1, 3]), [0, 0, width]);
}

/** Every head `repeats` times in a row: [h0, h0, h1, h1, ...]. */
export function repeatHeads(b: GraphBuilder, x: ValueName, repeats: number): ValueName {
  if (repeats === 1) return x;
  const [, heads, , size] = b.dims(x) as [unknown, number, unknown, Dim];
  const wide = b.op('Expand', [b.unsqueeze(x, [2]), b.int64s([1, 1, repeats, 1, 1])]);
  if (typeof size === 'number') return b.reshapeTo(wide, [0, heads * repeats, -1, size]);
  return b.op('Reshape', [wide, b.concat([b.int64s([0, heads * repeats, -1]), b.dimension(x, 3)], 0)]);
}

/** 1 / sqrt(size) of heads [batch, heads, length, size], or the scale a node names (0: none). */
export function scaleOfHeads(b: GraphBuilder, q: ValueName, named: number): number | ValueName {
  const size = b.dims(q)?.[3];
  if (named !== 0) return named;
  if (typeof size === 'number') return 1 / Math.sqrt(size);
  return b.reciprocal(b.sqrt(b.cast(b.dimension(q, 3), b.type(q))));
}

/** Positions of the queries, which follow what `past` holds along axis 2, as an int64 column [length, 1]. */
export function queryPositions(b: GraphBuilder, q: ValueName, past: ValueName | undefined): ValueName {
  const own = b.positions(q, 2);
  return b.unsqueeze(past === undefined ? own : b.add(own, b.dimension(past, 2)), [1]);
}

/** 0 where a query may look, -inf (or `hidden`) where the key comes after it or, with a window, too long before. */
export function causalBias(
  b: GraphBuilder,
  q: ValueName,
  k: ValueName,
  past: ValueName | undefined,
  { window = -1, hidden = -Infinity }: { readonly window?: number; readonly hidden?: number } = {},
): ValueName {
  const [rows, columns] = [queryPositions(b, q, past), b.positions(k, 2)];
  const visible = b.lessOrEqual(columns, rows);
  const near = window > 0 ? b.and(visible, b.greater(columns, b.sub(rows, b.int64s([window])))) : visible;
  return b.where(near, b.scalar(0, q), b.scalar(hidden, q));
}

export interface AttentionParts {
  /** [batch, heads, queries, size] */
  readonly q: ValueName;
  /** [batch, heads, keys, size] */
  readonly k: ValueName;
  readonly v: ValueName;
  /** A number, or one that is computed: a tensor of one element. */
  readonly scale: number | ValueName;
  /** Added to the scores one after another. */
  readonly biases: readonly ValueName[];
  readonly softcap?: number;
  /** From scores to probabilities, where it is not a plain softmax. */
  readonly normalize?: (scores: ValueName) => ValueName;
}

export interface AttentionValues {
  readonly output: ValueName;
  readonly scores: ValueName;
  readonly capped: ValueName;
  readonly biased: ValueName;
  readonly probabilities: ValueName;
}

/**
 * softmax(cap(scale Q K') + bias) V. The first text of opset 23 capped after the bias; onnxruntime, com.microsoft and
 * ONNX's correction cap before, so that what a mask hides stays hidden.
 */
export function attend(b: GraphBuilder, parts: AttentionParts): AttentionValues {
  const { q, k, v, scale, biases, softcap = 0 } = parts;
  const factor = typeof scale === 'number' ? b.scalar(scale, q) : scale;
  const scores = b.matmul(b.mul(q, factor), b.matrixTranspose(k));
  const cap = (x: ValueName) => b.mul(b.tanh(b.div(x, b.scalar(softcap, x))), b.scalar(softcap, x));
  const capped = softcap > 0 ? cap(scores) : scores;
  const biased = biases.reduce((sum, bias) => b.add(sum, bias), capped);
  const probabilities = (parts.normalize ?? ((x) => b.softmax(x, -1)))(biased);
  return { output: b.matmul(probabilities, v), scores, capped, biased, probabilities };
}
