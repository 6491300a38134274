/** From the gradients of all rows to scores, inside the graph. */
import { int } from '../onnx/index.ts';
import type { GraphBuilder, ValueName } from '../onnx/index.ts';
import { isHalf } from './half.ts';
import type { Reduction } from './request.ts';

export interface ReduceRequest {
  /** [rows, ...] */
  readonly gradient: ValueName;
  /** What `times-difference` multiplies with: [1, ...] or [rows, ...]. */
  readonly difference: ValueName;
  /** [rows] */
  readonly weights: ValueName;
  /** Whether the last axis is an embedding's, and goes. */
  readonly hidden: boolean;
  readonly reduction: Reduction;
  readonly spread: boolean;
}

/**
 * The weighted sum over rows of their scores, and when wanted of their squared distances from the mean of these rows: [1, ...].
 * Squares themselves would take the digits away from a variance that is small beside them.
 */
export function reduceRows(
  b: GraphBuilder,
  request: ReduceRequest,
): { readonly sum: ValueName; readonly spread: ValueName | undefined } {
  const { weights, hidden, reduction } = request;
  const [gradient, difference] = [wide(b, request.gradient), wide(b, request.difference)];
  const shared = b.dims(difference)?.[0] === 1 || reduction !== 'times-difference';
  if (reduction !== 'magnitude' && shared && !request.spread) {
    // Sums first: one matrix product over the rows, the rest on a single row.
    const summed = sumRows(b, gradient, weights);
    return { sum: scoresOf(b, summed, difference, hidden, reduction), spread: undefined };
  }
  const rows = scoresOf(b, gradient, difference, hidden, reduction);
  const sum = sumRows(b, rows, weights);
  if (!request.spread) return { sum, spread: undefined };
  const weight = b.cast(b.sum(weights, [0], false), b.type(rows));
  // Rows that all weigh nothing, as the input riding along, have a sum of 0: whatever it is divided by.
  const mean = b.div(sum, b.where(b.op('Equal', [weight, b.scalar(0, weight)]), b.scalar(1, weight), weight));
  return { sum, spread: sumRows(b, b.square(b.sub(rows, mean)), weights) };
}

/** Sums of many rows need more digits than half precision has. */
function wide(b: GraphBuilder, value: ValueName): ValueName {
  return isHalf(b.type(value)) ? b.cast(value, 'float32') : value;
}

function scoresOf(
  b: GraphBuilder,
  gradient: ValueName,
  difference: ValueName,
  hidden: boolean,
  reduction: Reduction,
): ValueName {
  const axes = [b.rank(gradient) - 1];
  if (reduction === 'magnitude') return hidden ? b.sqrt(b.sum(b.square(gradient), axes, false)) : b.abs(gradient);
  const scores = reduction === 'times-difference' ? b.mul(gradient, difference) : gradient;
  return hidden && reduction !== 'raw' ? b.sum(scores, axes, false) : scores;
}

/** sum_s w_s X_s as one matrix product: [rows, ...] to [1, ...]. */
export function sumRows(b: GraphBuilder, rows: ValueName, weights: ValueName): ValueName {
  const row = b.unsqueeze(b.cast(weights, b.type(rows)), [0]);
  const flat = b.op('Flatten', [rows], { axis: int(1) });
  const dims = b.dims(rows);
  const rest = Array.from({ length: b.rank(rows) - 1 }, (_, index) => b.dimension(rows, index + 1));
  return b.reshape(b.matmul(row, flat), b.concat([b.int64s([1]), ...rest], 0), dims && [1, ...dims.slice(1)]);
}
