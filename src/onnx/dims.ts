/** Arithmetic on dimensions that are numbers, names or unknown. */
import type { Dim } from './tensor.ts';

export function addDims(a: Dim, b: Dim): Dim {
  if (a === undefined || b === undefined) return undefined;
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  if (a === 0) return b;
  if (b === 0) return a;
  const [first, second] = [String(a), String(b)].sort();
  return `(${first}+${second})`;
}

export function subtractDims(a: Dim, b: Dim): Dim {
  if (a === undefined || b === undefined) return undefined;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (a === b) return 0;
  // Below 0 there are no lengths: as the end of a slice it would count from the other side.
  if (a === 0) return undefined;
  return b === 0 ? a : `(${a}-${b})`;
}

export function multiplyDims(a: Dim, b: Dim): Dim {
  if (a === 0 || b === 0) return 0;
  if (a === undefined || b === undefined) return undefined;
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  if (a === 1) return b;
  if (b === 1) return a;
  const [first, second] = [String(a), String(b)].sort();
  return `(${first}*${second})`;
}

/** Quotient of products of dimensions, for the -1 of Reshape: equal factors cancel, what is left must be numbers or one name. */
export function divideProducts(numerator: readonly Dim[], denominator: readonly Dim[]): Dim {
  const rest = [...numerator];
  let divisor = 1;
  for (const factor of denominator) {
    if (typeof factor === 'number') {
      divisor *= factor;
      continue;
    }
    const at = factor === undefined ? -1 : rest.indexOf(factor);
    if (at < 0) return undefined;
    rest.splice(at, 1);
  }
  let number = 1;
  let names: Dim = 1;
  for (const factor of rest) {
    if (typeof factor === 'number') number *= factor;
    else names = multiplyDims(names, factor);
  }
  if (number % divisor !== 0) return undefined;
  return multiplyDims(number / divisor, names);
}

/** The dimension two operands broadcast to; unknown when that depends on what the names stand for. */
export function broadcastDim(a: Dim, b: Dim): Dim {
  if (a === 1) return b;
  if (b === 1 || (a === b && a !== undefined)) return a;
  if (typeof a === 'number') return a;
  return typeof b === 'number' ? b : undefined;
}

export function broadcastDims(shapes: readonly (readonly Dim[])[]): Dim[] {
  const rank = Math.max(...shapes.map((dims) => dims.length));
  return Array.from({ length: rank }, (_, axis) => {
    const at = shapes.map((dims) => (axis < rank - dims.length ? 1 : dims[axis - (rank - dims.length)]));
    return at.reduce((left, right) => broadcastDim(left, right));
  });
}

/** Whether every dimension is a number. */
export function isStatic(dims: readonly Dim[] | undefined): dims is number[] {
  return dims !== undefined && dims.every((dim) => typeof dim === 'number');
}

/** The axis counted from the front. */
export function positiveAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}
