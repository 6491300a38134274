import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from './float16.ts';
import type { Weight } from './model.ts';
import type { DataType, DenseTensor, TensorData } from './tensor.ts';
import { sizeOf } from './tensor.ts';

/** Bits of one element; undefined where elements have no fixed size. */
const BITS: Readonly<Record<DataType, number | undefined>> = {
  float32: 32,
  uint8: 8,
  int8: 8,
  uint16: 16,
  int16: 16,
  int32: 32,
  int64: 64,
  string: undefined,
  bool: 8,
  float16: 16,
  float64: 64,
  uint32: 32,
  uint64: 64,
  complex64: 64,
  complex128: 128,
  bfloat16: 16,
  float8e4m3fn: 8,
  float8e4m3fnuz: 8,
  float8e5m2: 8,
  float8e5m2fnuz: 8,
  uint4: 4,
  int4: 4,
  float4e2m1: 4,
  float8e8m0: 8,
  uint2: 2,
  int2: 2,
};

/** Bytes of a tensor of this type and shape. */
export function byteLength(type: DataType, dims: readonly number[]): number {
  return Math.ceil((sizeOf(dims) * (BITS[type] ?? 0)) / 8);
}

export function isFloat(type: DataType): boolean {
  return type === 'float32' || type === 'float64' || type === 'float16' || type === 'bfloat16';
}

/** A typed array over a copy of the bytes: weights in files are not aligned. 4-bit types stay packed bytes. */
export function typedArray(type: DataType, bytes: Uint8Array): Exclude<TensorData, readonly string[]> {
  // Not bytes.slice(): on a Node Buffer that would be a view, not a copy.
  const buffer = new Uint8Array(bytes).buffer;
  switch (type) {
    case 'float32':
      return new Float32Array(buffer);
    case 'float64':
      return new Float64Array(buffer);
    case 'int8':
      return new Int8Array(buffer);
    case 'int16':
      return new Int16Array(buffer);
    case 'uint16':
    case 'float16':
    case 'bfloat16':
      return new Uint16Array(buffer);
    case 'int32':
      return new Int32Array(buffer);
    case 'uint32':
      return new Uint32Array(buffer);
    case 'int64':
      return new BigInt64Array(buffer);
    case 'uint64':
      return new BigUint64Array(buffer);
    case 'complex64':
      return new Float32Array(buffer);
    case 'complex128':
      return new Float64Array(buffer);
    default:
      return new Uint8Array(buffer);
  }
}

/** The values of a weight whose bytes are at hand; undefined for external ones. */
export function weightTensor(weight: Weight): DenseTensor | undefined {
  const { type, dims, storage } = weight;
  if (storage.kind === 'external') return undefined;
  if (storage.kind === 'strings') return { type, dims, data: storage.strings };
  return { type, dims, data: typedArray(type, storage.bytes) };
}

/** A weight over a tensor's values. */
export function tensorWeight({ type, dims, data }: DenseTensor): Weight {
  if (!ArrayBuffer.isView(data)) return { type, dims, storage: { kind: 'strings', strings: data } };
  return {
    type,
    dims,
    storage: { kind: 'bytes', bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) },
  };
}

/** The values of a small numeric weight as numbers; undefined when external, a string tensor, or over `limit` elements. */
export function weightNumbers(weight: Weight, limit = 4096): number[] | undefined {
  if (sizeOf(weight.dims) > limit) return undefined;
  const tensor = weightTensor(weight);
  if (tensor === undefined || !ArrayBuffer.isView(tensor.data)) return undefined;
  if (tensor.type === 'float16') return Array.from(tensor.data as Uint16Array, fromFloat16);
  if (tensor.type === 'bfloat16') return Array.from(tensor.data as Uint16Array, fromBfloat16);
  return Array.from(tensor.data as ArrayLike<number | bigint>, Number);
}

/** A weight of this type from numbers. Integers beyond the type's range saturate. */
export function numbersWeight(type: DataType, dims: readonly number[], values: readonly number[]): Weight {
  return tensorWeight({ type, dims, data: numbersToData(type, values) });
}

export function numbersToData(type: DataType, values: readonly number[]): TensorData {
  switch (type) {
    case 'float32':
      return Float32Array.from(values);
    case 'float64':
      return Float64Array.from(values);
    case 'float16':
      return Uint16Array.from(values, toFloat16);
    case 'bfloat16':
      return Uint16Array.from(values, toBfloat16);
    case 'int64':
      return BigInt64Array.from(values, toInt64);
    case 'uint64':
      return BigUint64Array.from(values, (value) => BigInt(Math.max(0, value)));
    case 'int32':
      return Int32Array.from(values);
    case 'uint32':
      return Uint32Array.from(values);
    case 'int16':
      return Int16Array.from(values);
    case 'uint16':
      return Uint16Array.from(values);
    case 'int8':
      return Int8Array.from(values);
    case 'uint8':
    case 'bool':
      return Uint8Array.from(values, Number);
    default:
      throw new Error(`no numeric values of type ${type}`);
  }
}

/** ONNX uses the largest and smallest int64 as "to the end": numbers past 2^63 saturate to them. */
export function toInt64(value: number): bigint {
  if (value >= 2 ** 63) return 2n ** 63n - 1n;
  if (value <= -(2 ** 63)) return -(2n ** 63n);
  return BigInt(value);
}
