/** The element types of ONNX tensors, by the names the command line uses. */
export const DATA_TYPES = [
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
  'complex64',
  'complex128',
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'uint4',
  'int4',
  'float4e2m1',
  'float8e8m0',
  'uint2',
  'int2',
] as const;
export type DataType = (typeof DATA_TYPES)[number];

/** What a person or a program hands to a model: values in row-major order. float16 and bfloat16 are raw 16-bit words. */
export interface DenseTensor {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | readonly string[];

/** Tensors by the name of the model's input or output. */
export type NamedTensors = Readonly<Record<string, DenseTensor>>;

/** A dimension: a number when known, a name when symbolic, undefined when nothing is known of it. */
export type Dim = number | string | undefined;

/** Name, type and dims of a model's input or output; dims is undefined when even the rank is unknown. */
export interface ValueInfo {
  readonly name: string;
  readonly type: DataType;
  readonly dims: readonly Dim[] | undefined;
}

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(dims: readonly number[]): number {
  let size = 1;
  for (const dim of dims) size *= dim;
  return size;
}

/** Of a float32: all bits of its exponent, which are set in NaN and infinities alone. */
const EXPONENT = 0x7f800000;

/**
 * The index of the first number that is NaN or infinite, -1 for none. A loop, where `findIndex` would call a function for each
 * of a picture's 150 thousand numbers; and over the bits of float32, which takes half the time: some explanations take no longer
 * than a pass of a small model.
 */
export function firstNotFinite(numbers: Float32Array | Float64Array): number {
  if (numbers instanceof Float32Array) {
    const bits = new Int32Array(numbers.buffer, numbers.byteOffset, numbers.length);
    for (let index = 0; index < bits.length; index++) if ((bits[index]! & EXPONENT) === EXPONENT) return index;
    return -1;
  }
  for (let index = 0; index < numbers.length; index++) if (!Number.isFinite(numbers[index])) return index;
  return -1;
}
