/** The numbers of float tensors, as what runs programs and fits to their answers reads and writes them. */
import { UserError, fromBfloat16, fromFloat16, sizeOf } from '../onnx/index.ts';
import type { DenseTensor } from '../onnx/index.ts';

export type Numbers = Float32Array | Float64Array;

/** The numbers of a float tensor; half precision widened to float32. Throws a UserError for what is not of floats. */
export function numbers({ type, data }: DenseTensor): Numbers {
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  if (type === 'float16') return Float32Array.from(data as Uint16Array, fromFloat16);
  if (type === 'bfloat16') return Float32Array.from(data as Uint16Array, fromBfloat16);
  throw new UserError(`a tensor of type ${type} holds no floats to explain`);
}

/** Whether all numbers agree within `tolerance` of the largest; NaN agrees with NaN. */
export function sameNumbers(left: Numbers, right: Numbers, tolerance: number): boolean {
  if (left.length !== right.length) return false;
  let largest = 0;
  for (const value of right) if (Math.abs(value) > largest) largest = Math.abs(value);
  const bound = tolerance * Math.max(largest, 1e-6);
  for (let index = 0; index < right.length; index++) {
    const [a, b] = [left[index]!, right[index]!];
    if (!(Math.abs(a - b) <= bound) && !Object.is(a, b)) return false;
  }
  return true;
}

/** A tensor of zeros. */
export function zeros(type: DenseTensor['type'], dims: readonly number[]): DenseTensor {
  const size = sizeOf(dims);
  return { type, dims, data: type === 'float64' ? new Float64Array(size) : new Float32Array(size) };
}

export function floats(type: DenseTensor['type'], dims: readonly number[], values: readonly number[]): DenseTensor {
  return { type, dims, data: type === 'float64' ? Float64Array.from(values) : Float32Array.from(values) };
}

/** Rows of one tensor, [rows, ...dims]. */
export function stackRows(rows: readonly Numbers[], dims: readonly number[], type: DenseTensor['type']): DenseTensor {
  const size = sizeOf(dims);
  const [only] = rows;
  // A row by itself is not copied.
  if (rows.length === 1 && only?.length === size && only instanceof (type === 'float64' ? Float64Array : Float32Array))
    return { type, dims: [1, ...dims], data: only };
  const result = zeros(type, [rows.length, ...dims]);
  rows.forEach((row, index) => (result.data as Float32Array).set(row, index * size));
  return result;
}

/** The numbers of each row. */
export function splitRows(tensor: DenseTensor, count: number): Numbers[] {
  const data = numbers(tensor);
  const size = data.length / count;
  return Array.from({ length: count }, (_, row) => data.slice(row * size, (row + 1) * size));
}

/** One row of a tensor, [1, ...]. */
export function oneRow({ type, dims, data }: DenseTensor, row: number): DenseTensor {
  const size = sizeOf(dims.slice(1));
  return {
    type,
    dims: [1, ...dims.slice(1)],
    data: numbers({ type, dims, data }).slice(row * size, (row + 1) * size),
  };
}
