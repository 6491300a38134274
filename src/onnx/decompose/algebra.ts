/** Determinants and einsums. */
import type { ValueName } from '../model.ts';
import { int } from '../model.ts';
import type { Decomposition } from './decomposition.ts';
import { einsum } from './einsum.ts';

/**
 * The product of the pivots of Gaussian elimination, each the largest number that is left, one step per row. The choice
 * of pivots is piecewise constant. Pivots that are zero come last, so the gradient is the adjugate of a singular matrix too.
 */
const det: Decomposition = (b, node) => {
  const x = node.inputs[0]!;
  const dims = b.dims(x);
  const size = dims?.at(-1);
  if (dims === undefined || typeof size !== 'number') return undefined;
  const one = b.constant('int64', [], [1]);
  const zero = b.scalar(0, x);
  const span = (value: ValueName, from: number, to: number, axis: number) =>
    b.slice(value, b.int64s([from]), b.int64s([to]), [axis]);
  const sign = (place: ValueName) => b.where(b.less(place, one), b.scalar(1, x), b.scalar(-1, x));
  let rest = b.reshapeTo(x, [-1, size, size]);
  let product: ValueName | undefined;
  for (let left = size; left > 0; left--) {
    const largest = b.op('ArgMax', [b.abs(b.reshapeTo(rest, [-1, left * left]))], { axis: int(1), keepdims: int(1) });
    const length = b.constant('int64', [], [left]);
    const places = b.int64s(Array.from({ length: left }, (_, at) => at));
    const pivotRow = b.unsqueeze(b.div(largest, length), [2]);
    const pivotColumn = b.sub(b.unsqueeze(largest, [2]), b.mul(pivotRow, length));
    // The first column takes the place of the pivot's, then the first row that of the pivot's; then both are done with.
    const inColumn = b.equal(places, pivotColumn);
    const column = b.sum(b.where(inColumn, rest, zero), [2]);
    const others = span(b.where(inColumn, span(rest, 0, 1, 2), rest), 1, left, 2);
    const turned = left === 1 ? rest : b.concat([column, others], 2);
    const inRow = b.equal(b.unsqueeze(places, [1]), pivotRow);
    const row = b.sum(b.where(inRow, turned, zero), [1]);
    const pivot = span(row, 0, 1, 2);
    const factor = b.mul(pivot, b.mul(sign(pivotRow), sign(pivotColumn)));
    product = product === undefined ? factor : b.mul(product, factor);
    if (left === 1) break;
    const below = span(b.where(inRow, span(turned, 0, 1, 1), turned), 1, left, 1);
    const tail = (value: ValueName) => span(value, 1, left, 2);
    const divisor = b.where(b.equal(pivot, zero), b.scalar(1, x), pivot);
    rest = b.sub(tail(below), b.mul(b.div(span(below, 0, 1, 2), divisor), tail(row)));
  }
  const batch = dims.slice(0, -2);
  const shape =
    batch.length === 0
      ? b.constant('int64', [0], [])
      : b.slice(b.shape(x), b.int64s([0]), b.int64s([batch.length]), [0]);
  return [b.reshape(product!, shape, batch)];
};

export const algebraFamily = { Det: det, Einsum: einsum } satisfies Readonly<Record<string, Decomposition>>;
