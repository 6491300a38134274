/** Operators of onnxruntime's own: taken apart they give what its kernels give, and have gradients. */
import { expect, test } from 'vitest';
import { checkGradient } from '../../conformance/check-gradient.ts';
import { maxDifference, numbersOf } from '../../conformance/numbers.ts';
import { differentiate } from '../../src/autodiff/index.ts';
import type { Attribute, DataType, DenseTensor, Dim } from '../../src/onnx/index.ts';
import {
  float,
  int,
  ints as manyInts,
  isFloat,
  normalizeModel,
  numbersToData,
  numbersWeight,
  sizeOf,
  string,
  tensorWeight,
} from '../../src/onnx/index.ts';
import { chance, hash, makeModel, makeNode, runModel } from '../models.ts';

interface Input {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly values?: readonly number[];
  /** A weight of the model rather than something given. */
  readonly constant?: boolean;
}

interface Case {
  readonly name?: string;
  readonly operator: string;
  readonly domain?: string;
  readonly inputs: readonly (Input | undefined)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly outputs?: number;
  /** Straight-through: there are no differences to compare with. */
  readonly quantized?: boolean;
  /** onnxruntime has no kernel for this form on a CPU. */
  readonly noKernel?: boolean;
}

const x = (...dims: number[]): Input => ({ type: 'float32', dims });
const ints = (type: DataType, dims: readonly number[], values?: readonly number[]): Input => ({
  type,
  dims,
  ...(values === undefined ? {} : { values }),
});
const fixed = (input: Input): Input => ({ ...input, constant: true });
const number = (value: number): Input => ({ type: 'float32', dims: [], values: [value], constant: true });
const byte = (value: number): Input => ({ type: 'uint8', dims: [], values: [value], constant: true });
/** Scales of weights. */
const small = (...dims: number[]): Input => {
  const random = chance(dims.length);
  return { type: 'float32', dims, values: Array.from({ length: sizeOf(dims) }, () => random(0.005, 0.02)) };
};
const heads = { num_heads: int(2) };
const grouped = { num_heads: int(4), kv_num_heads: int(2) };

const CASES: readonly Case[] = [
  { operator: 'Gelu', inputs: [x(2, 5)] },
  { operator: 'BiasGelu', inputs: [x(2, 5), x(5)] },
  { operator: 'FastGelu', inputs: [x(2, 5), x(5)] },
  { operator: 'QuickGelu', inputs: [x(2, 5)], attributes: { alpha: float(1.5) } },
  { operator: 'FusedMatMul', inputs: [x(2, 3, 4), x(2, 5, 4)], attributes: { transB: int(1), alpha: float(0.3) } },
  {
    operator: 'FusedMatMul',
    name: 'of batches behind',
    inputs: [x(3, 2, 4), x(2, 4, 5)],
    attributes: { transBatchA: int(1) },
  },
  {
    operator: 'FusedGemm',
    inputs: [x(3, 4), x(4, 5), x(5)],
    attributes: { activation: string('LeakyRelu'), activation_alpha: float(0.2) },
  },
  { operator: 'FusedConv', inputs: [x(1, 2, 5, 5), x(3, 2, 3, 3), x(3)], attributes: { activation: string('Tanh') } },
  { operator: 'SkipLayerNormalization', inputs: [x(2, 3, 8), x(2, 3, 8), x(8), x(8), x(8)], outputs: 4 },
  { operator: 'SkipSimplifiedLayerNormalization', inputs: [x(2, 3, 8), x(2, 3, 8), x(8)], outputs: 4 },
  {
    operator: 'SimplifiedLayerNormalization',
    domain: '',
    inputs: [x(2, 3, 8), x(8)],
    attributes: { axis: int(-1), epsilon: float(1e-6) },
  },
  {
    operator: 'EmbedLayerNormalization',
    inputs: [
      ints('int32', [1, 3], [1, 4, 2]),
      ints('int32', [1, 3], [0, 0, 1]),
      x(6, 8),
      x(5, 8),
      x(2, 8),
      x(8),
      x(8),
      ints('int32', [1, 3], [1, 1, 0]),
    ],
    attributes: { epsilon: float(1e-5) },
    outputs: 2,
  },
  {
    operator: 'QEmbedLayerNormalization',
    inputs: [
      ints('int32', [1, 3], [1, 4, 2]),
      ints('int32', [1, 3], [0, 0, 1]),
      ...[[6, 8], [5, 8], [2, 8], [8], [8]].map((dims) => fixed(ints('uint8', dims))),
      ints('int32', [1, 3], [1, 1, 0]),
      ...[0.01, 0.02, 0.03, 0.04, 0.05].map(number),
      ...[120, 130, 140, 100, 128].map(byte),
    ],
    attributes: { epsilon: float(1e-5) },
    outputs: 2,
    quantized: true,
  },
  { operator: 'Attention', inputs: [x(2, 3, 8), x(8, 24), x(24)], attributes: heads },
  {
    operator: 'Attention',
    name: 'causal, masked',
    inputs: [x(2, 3, 8), x(8, 24), x(24), ints('int32', [2, 3], [1, 1, 1, 1, 1, 0])],
    attributes: { ...heads, unidirectional: int(1) },
  },
  {
    operator: 'Attention',
    name: 'of sequence lengths',
    inputs: [x(2, 3, 8), x(8, 24), x(24), ints('int32', [2], [3, 2])],
    attributes: heads,
  },
  {
    operator: 'Attention',
    name: 'of sequence ends and starts',
    inputs: [x(2, 3, 8), x(8, 24), x(24), ints('int32', [4], [3, 2, 1, 0])],
    attributes: heads,
  },
  {
    operator: 'Attention',
    name: 'of flags for each query',
    inputs: [x(1, 3, 8), x(8, 24), x(24), ints('int32', [1, 3, 3], [1, 0, 0, 1, 1, 0, 1, 1, 1])],
    attributes: heads,
  },
  {
    operator: 'Attention',
    name: 'of flags for the longest sequence',
    inputs: [x(1, 2, 8), x(8, 24), x(24), ints('int32', [1, 1, 3, 3], [1, 0, 0, 1, 1, 0, 1, 1, 0])],
    attributes: heads,
    noKernel: true,
  },
  {
    operator: 'Attention',
    name: 'without widths of its own, its values wider',
    inputs: [x(1, 3, 8), x(8, 28), x(28)],
    attributes: { ...heads, qkv_hidden_sizes: manyInts([8, 8, 12]) },
  },
  {
    operator: 'Attention',
    name: 'with a past',
    inputs: [x(1, 2, 8), x(8, 24), x(24), undefined, x(2, 1, 2, 3, 4)],
    attributes: { ...heads, unidirectional: int(1) },
    outputs: 2,
  },
  { operator: 'MultiHeadAttention', inputs: [x(2, 3, 8), x(2, 4, 8), x(2, 4, 8), x(24)], attributes: heads },
  {
    operator: 'MultiHeadAttention',
    name: 'with padding and bias',
    inputs: [
      x(2, 3, 8),
      x(2, 4, 8),
      x(2, 4, 8),
      undefined,
      ints('int32', [2, 4], [1, 1, 1, 1, 1, 1, 0, 0]),
      x(2, 2, 3, 4),
    ],
    attributes: heads,
  },
  {
    operator: 'MultiHeadAttention',
    name: 'of keys by head, with lengths',
    inputs: [x(2, 3, 8), x(2, 2, 4, 4), x(2, 2, 4, 4), undefined, ints('int32', [2], [4, 2])],
    attributes: { ...heads, scale: float(0.3) },
  },
  {
    operator: 'MultiHeadAttention',
    name: 'with its scores',
    inputs: [x(2, 3, 8), x(2, 4, 8), x(2, 4, 12), x(28)],
    attributes: heads,
    outputs: 5,
  },
  { operator: 'MultiHeadAttention', name: 'packed', inputs: [x(2, 3, 2, 3, 4)], attributes: heads, noKernel: true },
  {
    operator: 'MultiHeadAttention',
    name: 'with a past',
    inputs: [x(1, 2, 8), x(1, 2, 8), x(1, 2, 8), undefined, undefined, undefined, x(1, 2, 3, 4), x(1, 2, 3, 4)],
    attributes: { ...heads, unidirectional: int(1) },
    outputs: 3,
  },
  {
    operator: 'GroupQueryAttention',
    inputs: [
      x(1, 3, 32),
      x(1, 3, 16),
      x(1, 3, 16),
      undefined,
      undefined,
      ints('int32', [1], [2]),
      ints('int32', [1], [3]),
    ],
    attributes: grouped,
  },
  {
    operator: 'GroupQueryAttention',
    name: 'rotated, packed, in a window',
    inputs: [
      x(1, 3, 128),
      undefined,
      undefined,
      undefined,
      undefined,
      ints('int32', [1], [2]),
      ints('int32', [1], [3]),
      fixed(x(8, 8)),
      fixed(x(8, 8)),
    ],
    attributes: { ...grouped, do_rotary: int(1), local_window_size: int(2) },
    outputs: 3,
  },
  {
    operator: 'GroupQueryAttention',
    name: 'with a past',
    inputs: [
      x(1, 1, 32),
      x(1, 1, 16),
      x(1, 1, 16),
      x(1, 2, 3, 8),
      x(1, 2, 3, 8),
      ints('int32', [1], [3]),
      ints('int32', [1], [4]),
    ],
    attributes: { ...grouped, softcap: float(2) },
    outputs: 3,
  },
  {
    operator: 'RotaryEmbedding',
    inputs: [x(1, 3, 16), ints('int64', [1, 3], [0, 1, 2]), fixed(x(8, 4)), fixed(x(8, 4))],
  },
  {
    operator: 'RotaryEmbedding',
    name: 'interleaved, from a position on',
    inputs: [x(1, 2, 3, 8), ints('int64', [1], [2]), fixed(x(8, 4)), fixed(x(8, 4))],
    attributes: { interleaved: int(1) },
  },
  {
    operator: 'MatMulNBits',
    inputs: [x(2, 32), fixed(ints('uint8', [5, 2, 8])), fixed(x(10))],
    attributes: { K: int(32), N: int(5), bits: int(4), block_size: int(16) },
  },
  {
    operator: 'MatMulNBits',
    name: 'with zero points',
    inputs: [x(2, 40), fixed(ints('uint8', [5, 3, 8])), fixed(x(15)), fixed(ints('uint8', [10]))],
    attributes: { K: int(40), N: int(5), bits: int(4), block_size: int(16) },
  },
  ...(['relu', 'gelu', 'silu', 'identity'] as const).map((kind) => ({
    operator: 'MoE',
    name: kind,
    inputs: [x(5, 6), x(5, 4), x(4, 8, 6), x(4, 8), x(4, 6, 8), x(4, 6)],
    attributes: { k: int(2), activation_type: string(kind) },
  })),
  {
    operator: 'MoE',
    name: 'its shares normalised, of a batch',
    inputs: [x(2, 3, 6), x(6, 4), x(4, 8, 6), undefined, x(4, 6, 8)],
    attributes: { k: int(2), activation_type: string('silu'), normalize_routing_weights: int(1) },
  },
  ...[1, 2].map((fusion) => ({
    operator: 'MoE',
    name: `swiglu, its halves ${fusion === 1 ? 'woven' : 'one behind the other'}`,
    // Small, so that differences find no kink where the limit is reached.
    inputs: [x(1, 3), x(1, 2), x(2, 8, 3), x(2, 8), x(2, 3, 4), x(2, 3)],
    attributes: {
      k: int(1),
      activation_type: string('swiglu'),
      swiglu_fusion: int(fusion),
      activation_alpha: float(1.702),
      activation_beta: float(1),
      swiglu_limit: float(0.6),
    },
    noKernel: fusion === 2,
  })),
  {
    operator: 'QMoE',
    inputs: [
      x(5, 32),
      x(5, 4),
      fixed(ints('uint8', [4, 48, 16])),
      fixed(small(4, 48)),
      undefined,
      fixed(ints('uint8', [4, 32, 24])),
      fixed(small(4, 32)),
    ],
    attributes: {
      k: int(2),
      activation_type: string('silu'),
      expert_weight_bits: int(4),
      normalize_routing_weights: int(1),
    },
  },
  {
    operator: 'QMoE',
    name: 'by block, swiglu, with zero points',
    inputs: [
      x(5, 32),
      x(5, 4),
      fixed(ints('uint8', [4, 64, 16])),
      fixed(small(4, 64, 2)),
      x(4, 64),
      fixed(ints('uint8', [4, 32, 16])),
      fixed(small(4, 32, 2)),
      x(4, 32),
      undefined,
      undefined,
      undefined,
      fixed(ints('uint8', [4, 64, 1])),
      fixed(ints('uint8', [4, 32, 1])),
    ],
    attributes: {
      k: int(2),
      activation_type: string('swiglu'),
      swiglu_fusion: int(1),
      activation_alpha: float(1.702),
      activation_beta: float(1),
      swiglu_limit: float(7),
      expert_weight_bits: int(4),
      block_size: int(16),
      normalize_routing_weights: int(1),
    },
  },
  ...[0, 1].map((kind) => ({
    operator: 'MatMulBnb4',
    name: `of ${kind === 0 ? 'FP4' : 'NF4'}`,
    inputs: [x(2, 40), fixed(ints('uint8', [120])), fixed(x(15))],
    attributes: { K: int(40), N: int(6), block_size: int(16), quant_type: int(kind) },
  })),
  { operator: 'Inverse', inputs: [{ type: 'float32', dims: [2, 2, 2], values: [2, 0.3, -0.4, 1, 1, 0.2, 0.1, -2] }] },
  ...(['linear', 'gated', 'delta', 'gated_delta'] as const).map((rule) => ({
    operator: 'LinearAttention',
    name: rule,
    inputs: [
      x(2, 3, 8),
      x(2, 3, 8),
      x(2, 3, 6),
      undefined,
      rule.startsWith('gated') ? x(2, 3, 2) : undefined,
      rule.endsWith('delta') ? x(2, 3, 2) : undefined,
    ],
    attributes: { q_num_heads: int(2), kv_num_heads: int(2), update_rule: string(rule) },
    outputs: 2,
  })),
  {
    operator: 'LinearAttention',
    name: 'grouped, with a past and a gate of every element',
    inputs: [x(1, 3, 16), x(1, 3, 8), x(1, 3, 6), x(1, 2, 4, 3), x(1, 3, 8), x(1, 3, 1)],
    attributes: { q_num_heads: int(4), kv_num_heads: int(2), scale: float(0.7) },
    outputs: 2,
  },
  {
    operator: 'LinearAttention',
    name: 'of more values than queries',
    inputs: [x(1, 3, 4), x(1, 3, 8), x(1, 3, 6), x(1, 2, 4, 3), x(1, 3, 2), x(1, 3, 2)],
    attributes: { q_num_heads: int(1), kv_num_heads: int(2) },
    outputs: 2,
  },
  { operator: 'LinearAttentionGate', inputs: [x(2, 3, 4), x(4), x(4), x(2, 3, 4)], outputs: 2 },
  {
    operator: 'CausalConvWithState',
    inputs: [x(2, 3, 5), fixed(x(3, 1, 4)), x(3), x(2, 3, 3)],
    attributes: { activation: string('silu') },
    outputs: 2,
  },
  { operator: 'CausalConvWithState', name: 'from nothing', inputs: [x(2, 3, 5), fixed(x(3, 1, 4))], outputs: 2 },
  { operator: 'GatedRMSNorm', inputs: [x(2, 3, 8), x(4), x(2, 3, 8)] },
  {
    operator: 'GatedRMSNorm',
    name: 'of a sigmoid',
    inputs: [x(2, 3, 8), x(8), x(2, 3, 8)],
    attributes: { activation: string('sigmoid'), epsilon: float(1e-3) },
    noKernel: true,
  },
  ...[0, 1].map((layout) => ({
    operator: 'MRotaryEmbedding',
    name: layout === 1 ? 'woven' : 'in sections',
    inputs: [x(1, 3, 32), ints('int64', [3, 1, 3], [0, 1, 2, 3, 4, 5, 6, 7, 1]), fixed(x(8, 8)), fixed(x(8, 8))],
    attributes: {
      mrope_section: manyInts([4, 2, 2]),
      mrope_layout: int(layout),
      num_heads: int(2),
      rotary_embedding_dim: int(16),
    },
  })),
  { operator: 'Trilu', inputs: [x(2, 3, 4)], attributes: { upper: int(0) } },
  { operator: 'GatherND', inputs: [x(3, 4), ints('int64', [2, 1], [2, 0])] },
  {
    operator: 'GridSample',
    inputs: [x(1, 2, 4, 5), x(1, 3, 3, 2)],
    attributes: { mode: string('bilinear'), padding_mode: string('border'), align_corners: int(1) },
  },
  { operator: 'Pad', inputs: [x(2, 3), fixed(ints('int64', [1, 4], [0, 1, 2, 0])), number(0.5)] },
  { operator: 'ExpandDims', inputs: [x(2, 3), fixed(ints('int32', [], [1]))] },
  ...(['sqeuclidean', 'euclidean'] as const).map((metric) => ({
    operator: 'CDist',
    name: metric,
    inputs: [x(3, 4), x(2, 4)],
    attributes: { metric: string(metric) },
  })),
  { operator: 'GatedAdd', inputs: [x(2, 3, 4), x(2, 3, 4), x(2, 3, 1)] },
  { operator: 'BiasAdd', inputs: [x(2, 3, 4), x(4), x(2, 3, 4)], noKernel: true },
  { operator: 'BiasSplitGelu', inputs: [x(2, 3, 8), x(8)], noKernel: true },
  {
    operator: 'GroupNorm',
    inputs: [x(2, 2, 3, 4), x(4), x(4)],
    attributes: { groups: int(2), activation: int(1), epsilon: float(1e-3) },
    noKernel: true,
  },
  {
    operator: 'SkipGroupNorm',
    inputs: [x(2, 4, 2, 3), x(4), x(4), x(2, 4), x(4)],
    attributes: { groups: int(2), activation: int(0), channels_last: int(0) },
    outputs: 2,
    noKernel: true,
  },
  {
    operator: 'MatMulIntegerToFloat',
    inputs: [ints('uint8', [2, 4]), ints('uint8', [4, 3]), number(0.1), number(0.2), byte(3), byte(5), x(3)],
    quantized: true,
  },
  {
    operator: 'DynamicQuantizeMatMul',
    inputs: [x(2, 4), ints('uint8', [4, 3]), number(0.2), byte(5), x(3)],
    quantized: true,
  },
  {
    operator: 'QLinearAdd',
    inputs: [
      ints('uint8', [2, 4]),
      number(0.1),
      byte(3),
      ints('uint8', [2, 4]),
      number(0.2),
      byte(5),
      number(0.3),
      byte(9),
    ],
    quantized: true,
  },
  {
    operator: 'QLinearMul',
    inputs: [
      ints('uint8', [2, 4]),
      number(0.1),
      byte(3),
      ints('uint8', [2, 4]),
      number(0.2),
      byte(5),
      number(0.3),
      byte(9),
    ],
    quantized: true,
  },
  {
    operator: 'QLinearSigmoid',
    inputs: [ints('uint8', [2, 4]), number(0.02), byte(128), number(0.004), byte(0)],
    quantized: true,
  },
  {
    operator: 'QLinearLeakyRelu',
    inputs: [ints('uint8', [2, 4]), number(0.02), byte(128), number(0.02), byte(100)],
    attributes: { alpha: float(0.1) },
    quantized: true,
  },
  {
    operator: 'QLinearGlobalAveragePool',
    inputs: [ints('uint8', [1, 2, 4, 4]), number(0.02), byte(128), number(0.02), byte(100)],
    quantized: true,
  },
  {
    operator: 'QLinearConcat',
    inputs: [
      number(0.2),
      byte(4),
      ints('uint8', [2, 3]),
      number(0.1),
      byte(3),
      ints('uint8', [2, 2]),
      number(0.3),
      byte(5),
    ],
    attributes: { axis: int(1) },
    quantized: true,
  },
  {
    operator: 'QLinearAveragePool',
    inputs: [ints('uint8', [1, 2, 5, 5]), number(0.02), byte(128), number(0.02), byte(100)],
    attributes: { kernel_shape: manyInts([3, 3]), pads: manyInts([1, 1, 1, 1]), count_include_pad: int(0) },
    quantized: true,
  },
  {
    operator: 'QLinearAveragePool',
    name: 'of channels last',
    inputs: [ints('uint8', [1, 5, 5, 2]), number(0.02), byte(128), number(0.02), byte(100)],
    attributes: { kernel_shape: manyInts([2, 2]), strides: manyInts([2, 2]), channels_last: int(1) },
    quantized: true,
  },
  {
    operator: 'QLinearReduceMean',
    inputs: [ints('uint8', [2, 3, 4]), number(0.02), byte(128), number(0.02), byte(100)],
    attributes: { axes: manyInts([1]), keepdims: int(0) },
    quantized: true,
    noKernel: true,
  },
  {
    operator: 'QLinearConv',
    name: 'of channels last',
    inputs: [
      ints('uint8', [1, 5, 5, 2]),
      number(0.02),
      byte(128),
      fixed(ints('uint8', [3, 2, 3, 3])),
      number(0.01),
      byte(120),
      number(0.1),
      byte(100),
    ],
    attributes: { kernel_shape: manyInts([3, 3]), strides: manyInts([2, 2]), channels_last: int(1) },
    quantized: true,
  },
  {
    operator: 'QLinearWhere',
    inputs: [
      { type: 'bool', dims: [2, 3], values: [1, 0, 1, 0, 0, 1] },
      ints('uint8', [2, 3]),
      number(0.1),
      byte(3),
      ints('uint8', [2, 3]),
      number(0.2),
      byte(5),
      number(0.3),
      byte(9),
    ],
    quantized: true,
  },
  ...[true, false].map((rounded) => ({
    operator: 'QGemm',
    name: rounded ? 'rounded' : 'to floats',
    inputs: [
      ints('uint8', [2, 4]),
      number(0.02),
      byte(128),
      fixed(ints('uint8', [3, 4])),
      number(0.01),
      byte(120),
      fixed(ints('int32', [3], [100, -200, 50])),
      ...(rounded ? [number(0.05), byte(100)] : []),
    ],
    attributes: { transB: int(1), alpha: float(0.7) },
    quantized: true,
  })),
  ...[0, 1].map((both) => ({
    operator: 'RelativePositionBias',
    name: both === 1 ? 'both ways' : 'backwards',
    inputs: [x(8, 2), fixed(ints('int64', [1], [9])), fixed(ints('int64', [1], [9]))],
    attributes: { max_distance: int(16), is_bidirectional: int(both) },
    noKernel: true,
  })),
  {
    operator: 'QAttention',
    name: 'without bias',
    inputs: [ints('uint8', [1, 3, 8]), ints('uint8', [8, 24]), undefined, number(0.02), number(0.01)],
    attributes: heads,
    quantized: true,
    noKernel: true,
  },
  {
    operator: 'QAttention',
    inputs: [
      ints('uint8', [1, 3, 8]),
      ints('uint8', [8, 24]),
      x(24),
      number(0.02),
      number(0.01),
      ints('int32', [1, 3], [1, 1, 1]),
      byte(120),
      byte(130),
    ],
    attributes: heads,
    quantized: true,
  },
];

function tensorOf({ type, dims, values }: Input, random: (low?: number, high?: number) => number): DenseTensor {
  const whole = () => Math.floor(random(0, 255));
  const list = values ?? Array.from({ length: sizeOf(dims) }, () => (isFloat(type) ? random() : whole()));
  return { type, dims, data: numbersToData(type, list) };
}

test.each(CASES.map((c) => [`${c.operator} ${c.name ?? ''}`.trim(), c] as const))(
  '%s in primitives gives what the kernel gives, and its gradient agrees with differences',
  async (name, c) => {
    const random = chance(hash(name));
    const inputs = c.inputs.flatMap((input, index) =>
      input === undefined ? [] : [{ input, name: `i${index}`, tensor: tensorOf(input, random) }],
    );
    const count = c.outputs ?? 1;
    // Layer norms fused with a sum leave out the mean and deviation that inference does not need.
    const outputs = Array.from({ length: Math.min(count, 4) }, (_, index) =>
      count === 4 && (index === 1 || index === 2) ? '' : `o${index}`,
    );
    const model = makeModel({
      inputs: inputs
        .filter(({ input }) => !input.constant)
        .map(({ input, name }) => ({ name, type: input.type, dims: input.dims })),
      outputs: outputs
        .filter(Boolean)
        .map((output, index) => ({ name: output, type: outputType(c, index), dims: undefined })),
      nodes: [
        makeNode(
          c.operator,
          c.inputs.map((input, index) => (input === undefined ? '' : `i${index}`)),
          outputs,
          c.attributes,
          c.domain ?? 'com.microsoft',
        ),
      ],
      initializers: inputs
        .filter(({ input }) => input.constant)
        .map(({ name, tensor }) => [name, tensorWeight(tensor)] as const),
    });
    const given = inputs.filter(({ input }) => !input.constant);
    const feeds = Object.fromEntries(given.map(({ name, tensor }) => [name, tensor]));
    const normal = normalizeModel(model);
    const actual = await runModel(normal, feeds);
    const expected = c.noKernel ? actual : await runModel(model, feeds);
    for (const output of outputs.filter(Boolean)) {
      expect(actual[output]!.dims).toEqual(expected[output]!.dims);
      const difference = maxDifference(numbersOf(expected[output]!), numbersOf(actual[output]!));
      expect(difference, output).toBeLessThan(2e-5);
    }
    if (c.quantized) return;
    // With a batch and lengths nobody knows before running, the same; attention with widths nobody knows, too, but
    // where they tell one kind of gate from another.
    const loose = (dimsOf: typeof looseDims) =>
      normalizeModel({
        ...model,
        graph: {
          ...model.graph,
          inputs: model.graph.inputs.map(({ name, type, dims }) => ({ name, type, dims: dimsOf(name, type, dims!) })),
        },
      });
    const models = [normal, loose(looseDims), ...(/(?<!Linear)Attention$/.test(c.operator) ? [loose(noDims)] : [])];
    const of = outputs[0]!;
    const wrt = given.filter(({ input }) => isFloat(input.type)).map(({ name }) => name);
    const [known, ...unknown] = await Promise.all(
      models.map(async (each) => runModel(differentiate(each, { of, wrt }).model, feeds)),
    );
    for (const [output, tensor] of Object.entries(known!))
      for (const other of unknown)
        expect(maxDifference(numbersOf(tensor), numbersOf(other[output]!)), `${output}, loose`).toBeLessThan(2e-5);
    const found = await checkGradient({
      name,
      model: normal,
      feeds,
      wrt,
      outputs: outputs.filter((output) => output !== '' && isFloat(expected[output]!.type)),
    });
    expect(found).toMatchObject({ first: { status: 'verified' }, second: { status: 'verified' } });
  },
);

/** A first axis of three or more is a batch; the second of three is a length. */
function looseDims(name: string, type: DataType, dims: readonly Dim[]): readonly Dim[] {
  // Lengths of sequences come one for each sample of the batch.
  if (type === 'int32' && dims.length === 1) return dims[0] === 4 ? ['twice the batch'] : ['batch'];
  if (dims.length < 3) return dims;
  return dims.map((dim, axis) => (axis === 0 ? 'batch' : axis === 1 && dims.length === 3 ? `length of ${name}` : dim));
}

/** Nothing but ranks; what is by head keeps its heads. */
function noDims(name: string, type: DataType, dims: readonly Dim[]): readonly Dim[] {
  const byHead = isFloat(type) && dims.length > 3;
  return dims.map((dim, axis) => (byHead && axis === dims.length - 3 ? dim : `${name}, ${axis}`));
}

function outputType(c: Case, index: number): DataType {
  if (c.operator.startsWith('QLinear') || (c.operator === 'QGemm' && c.inputs.length > 7)) return 'uint8';
  return c.operator.endsWith('EmbedLayerNormalization') && index === 1 ? 'int32' : 'float32';
}

test.each([16, 32])(
  'Attention that rotates %i elements of each head, which no CPU kernel does, gives what its parts give',
  async (rotated) => {
    const [batch, length, past, count, size] = [2, 3, 2, 2, 32];
    const width = count * size;
    const random = chance(rotated);
    const tensor = (...dims: number[]) =>
      tensorOf({ type: 'float32', dims }, (low = -0.3, high = 0.3) => random(low, high));
    const feeds = {
      x: tensor(batch, length, width),
      w: tensor(width, 3 * width),
      bias: tensor(3 * width),
      past: tensor(2, batch, count, past, size),
    };
    const info = (name: keyof typeof feeds) => ({ name, type: 'float32' as const, dims: feeds[name].dims });
    const inputs = (['x', 'w', 'bias', 'past'] as const).map(info);
    const output = (name: string) => ({ name, type: 'float32' as const, dims: undefined });
    const attributes = { num_heads: int(count), unidirectional: int(1) };
    const rotating = { ...attributes, do_rotary: int(1), rotary_embedding_dim: int(rotated) };
    const fused = makeModel({
      inputs,
      outputs: [output('y'), output('present')],
      nodes: [makeNode('Attention', ['x', 'w', 'bias', '', 'past'], ['y', 'present'], rotating, 'com.microsoft')],
    });
    // The same with RotaryEmbedding and MultiHeadAttention, which have kernels.
    const places = Array.from({ length: past + length }, (_, place) => place);
    const angles = places.flatMap((place) =>
      Array.from({ length: rotated / 2 }, (_, pair) => place / 10000 ** ((2 * pair) / rotated)),
    );
    const table = (f: (angle: number) => number) =>
      numbersWeight('float32', [places.length, rotated / 2], angles.map(f));
    const turn = (from: string, to: string) =>
      makeNode(
        'RotaryEmbedding',
        [from, 'places', 'cos', 'sin'],
        [to],
        { num_heads: int(count), rotary_embedding_dim: int(rotated) },
        'com.microsoft',
      );
    const parts = makeModel({
      inputs,
      outputs: [output('y'), output('keys'), output('values')],
      nodes: [
        makeNode('MatMul', ['x', 'w'], ['product']),
        makeNode('Add', ['product', 'bias'], ['all']),
        makeNode('Split', ['all'], ['q', 'k', 'v'], { axis: int(2), num_outputs: int(3) }),
        turn('q', 'turnedQ'),
        turn('k', 'turnedK'),
        makeNode('Gather', ['past', 'zero'], ['pastK']),
        makeNode('Gather', ['past', 'one'], ['pastV']),
        makeNode(
          'MultiHeadAttention',
          ['turnedQ', 'turnedK', 'v', '', '', '', 'pastK', 'pastV'],
          ['y', 'keys', 'values'],
          attributes,
          'com.microsoft',
        ),
      ],
      initializers: [
        ['places', numbersWeight('int64', [batch, length], [2, 3, 4, 2, 3, 4])],
        ['cos', table(Math.cos)],
        ['sin', table(Math.sin)],
        ['zero', numbersWeight('int64', [], [0])],
        ['one', numbersWeight('int64', [], [1])],
      ],
    });
    const normal = normalizeModel(fused);
    const [actual, expected] = [await runModel(normal, feeds), await runModel(parts, feeds)];
    const present = ['keys', 'values'].flatMap((name) => numbersOf(expected[name]!));
    expect(maxDifference(numbersOf(expected['y']!), numbersOf(actual['y']!))).toBeLessThan(2e-5);
    expect(maxDifference(present, numbersOf(actual['present']!))).toBeLessThan(2e-5);
    const found = await checkGradient({
      name: 'rotary',
      model: normal,
      feeds,
      wrt: ['x', 'past'],
      outputs: ['y', 'present'],
    });
    expect(found).toMatchObject({ first: { status: 'verified' }, second: { status: 'verified' } });
  },
);
