/** Operators of com.microsoft that stay as they are. */
import { positiveAxis } from '../dims.ts';
import { intAttribute } from '../model.ts';
import { matmulDims } from './compute.ts';
import type { InferenceRule } from './rule.ts';

const matmulNBits: InferenceRule = (input) => {
  const dims = input.dims(0);
  return [{ type: input.type(0), dims: dims && [...dims.slice(0, -1), intAttribute(input.node, 'N', 0)] }];
};

const gatherBlockQuantized: InferenceRule = (input) => {
  const [data, indices] = [input.dims(0), input.dims(1)];
  if (data === undefined || indices === undefined) return [{ type: input.type(2), dims: undefined }];
  const axis = positiveAxis(intAttribute(input.node, 'gather_axis', 0), data.length);
  const last = positiveAxis(intAttribute(input.node, 'quantize_axis', 1), data.length);
  // Bytes hold several integers each.
  const perByte = input.type(0) === 'uint8' ? 8 / intAttribute(input.node, 'bits', 4) : 1;
  const whole = data.map((dim, at) => (at === last && typeof dim === 'number' ? dim * perByte : dim));
  return [{ type: input.type(2), dims: [...whole.slice(0, axis), ...indices, ...whole.slice(axis + 1)] }];
};

const fusedMatMul: InferenceRule = (input) => {
  const flag = (name: string) => intAttribute(input.node, name, 0) === 1;
  const turned = (index: number, name: string) => {
    const dims = input.dims(index);
    return dims !== undefined && dims.length > 1 && flag(name)
      ? [...dims.slice(0, -2), dims.at(-1), dims.at(-2)]
      : dims;
  };
  const known = !flag('transBatchA') && !flag('transBatchB');
  return [{ type: input.type(0), dims: known ? matmulDims(turned(0, 'transA'), turned(1, 'transB')) : undefined }];
};

const alike: InferenceRule = (input) => [{ type: input.type(0), dims: input.dims(0) }];

const quantize: InferenceRule = (input) => [{ type: input.facts(2)?.type ?? 'uint8', dims: input.dims(0) }];
const dequantize: InferenceRule = (input) => [{ type: input.type(1), dims: input.dims(0) }];

export const microsoft: Readonly<Record<string, InferenceRule>> = {
  'com.microsoft::FusedMatMul': fusedMatMul,
  'com.microsoft::MatMulNBits': matmulNBits,
  'com.microsoft::MatMulBnb4': matmulNBits,
  'com.microsoft::Inverse': alike,
  'com.microsoft::QuickGelu': alike,
  'com.microsoft::QuantizeLinear': quantize,
  'com.microsoft::DequantizeLinear': dequantize,
  'com.microsoft::GatherBlockQuantized': gatherBlockQuantized,
};
