/** Products of quantised values, straight-through: as the float products they stand for, in quantised units. */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { UserError, intAttribute, nodeLabel, unpackIntegers } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { PIECEWISE_CONSTANT, rule } from '../rule.ts';
import { convInput, geometry } from './convolution.ts';
import { matmulLeft, matmulRight } from './linear.ts';

/** x - zero in the type of `like`; a vector of zero points goes along `axis`. */
function centred(b: GraphBuilder, x: ValueName, zero: ValueName, like: ValueName, axis: number): ValueName {
  const float = b.cast(x, b.type(like));
  const after = Array.from({ length: b.rank(x) - 1 - axis }, (_, index) => index + 1);
  const offset = b.cast(zero, b.type(like));
  return b.sub(float, b.rank(zero) === 0 || b.dims(zero)?.[0] === 1 ? offset : b.unsqueeze(offset, after));
}

/** sa sb / sy, as it multiplies the product; scales of columns go along the last axis. */
const factor = (b: GraphBuilder, like: ValueName, scales: readonly [ValueName, ValueName, ValueName]) => {
  const [a, w, y] = scales.map((scale) => b.cast(scale, b.type(like))) as [ValueName, ValueName, ValueName];
  return b.div(b.mul(a, w), y);
};

// y = (A - za)(B - zb) sa sb / sy + zy
const qLinearMatMul = rule((b, node, dY) => {
  const [a, aScale, aZero, w, wScale, wZero, yScale] = node.inputs as [
    ValueName,
    ValueName,
    ValueName,
    ValueName,
    ValueName,
    ValueName,
    ValueName,
  ];
  const g = () => b.mul(dY, factor(b, dY, [aScale, wScale, yScale]));
  const last = (x: ValueName) => b.rank(x) - 1;
  return [
    () => matmulLeft(b, a, centred(b, w, wZero, dY, last(w)), g()),
    undefined,
    undefined,
    () => matmulRight(b, centred(b, a, aZero, dY, last(a) - 1), w, g()),
  ];
});

// y = (X - zx) * (W - zw) sx sw / sy + zy; the weight's scale may differ by output channel
const qLinearConv = rule((b, node, dY) => {
  const [x, xScale, , w, wScale, wZero, yScale] = node.inputs as [
    ValueName,
    ValueName,
    ValueName,
    ValueName,
    ValueName,
    ValueName,
    ValueName,
  ];
  const space = Array.from({ length: b.rank(w) - 2 }, (_, index) => index + 1);
  const asConv: Node = { ...node, inputs: [x, w] };
  return [
    () => {
      const scale = factor(b, dY, [xScale, wScale, yScale]);
      const perChannel = b.rank(scale) === 0 || b.dims(scale)?.[0] === 1 ? scale : b.unsqueeze(scale, space);
      return convInput(b, geometry(b, asConv), x, centred(b, w, wZero, dY, 0), b.mul(dY, perChannel));
    },
  ];
});

/**
 * Y = A dequantize(B)' (+ bias): dA = dY dequantize(B). Only the gradient unpacks the weight, the forward pass keeps
 * its fast kernel.
 */
const matmulNBits: Rule = rule((b, node, dY) => {
  const [a, , , , groups, bias] = node.inputs;
  if (groups) throw new UserError(`MatMulNBits "${nodeLabel(node)}": group indices have no gradient rule`);
  return [
    () => b.matmul(dY, b.cast(unpackedWeight(b, node, dY), b.type(a!))),
    undefined,
    undefined,
    undefined,
    undefined,
    bias
      ? () =>
          b.sum(
            dY,
            Array.from({ length: b.rank(dY) - 1 }, (_, axis) => axis),
            false,
          )
      : undefined,
  ];
});

/** The weight [N, K] of a MatMulNBits node: packed integers minus zero points, times the scale of their block. */
function unpackedWeight(b: GraphBuilder, node: Node, like: ValueName): ValueName {
  const [, packed, scales, zeros] = node.inputs as [ValueName, ValueName, ValueName, ValueName?];
  const [k, n, bits, block] = ['K', 'N', 'bits', 'block_size'].map((name, index) =>
    intAttribute(node, name, index === 2 ? 4 : 0),
  ) as [number, number, number, number];
  const blocks = Math.ceil(k / block);
  const integers = b.reshapeTo(unpackIntegers(b, packed, bits), [n, blocks, -1]);
  const cut = b.slice(integers, b.int64s([0]), b.int64s([block]), [2]);
  const float = b.cast(cut, b.type(like));
  let offset = b.scalar(2 ** (bits - 1), like);
  if (zeros) {
    const unpacked = b.type(zeros) === 'uint8' ? unpackIntegers(b, b.reshapeTo(zeros, [n, -1]), bits) : zeros;
    const rows = b.slice(b.reshapeTo(unpacked, [n, -1]), b.int64s([0]), b.int64s([blocks]), [1]);
    offset = b.unsqueeze(b.cast(rows, b.type(like)), [2]);
  }
  const scale = b.reshapeTo(b.cast(scales, b.type(like)), [n, blocks, 1]);
  const whole = b.reshapeTo(b.mul(b.sub(float, offset), scale), [n, blocks * block]);
  return blocks * block === k ? whole : b.slice(whole, b.int64s([0]), b.int64s([k]), [1]);
}

/** The 16 numbers of 4 bits: bitsandbytes' FP4, and NF4, quantiles of a normal distribution (Dettmers et al. 2023, QLoRA). */
const FOUR_BITS: readonly (readonly number[])[] = [
  [0, 1 / 192, 2 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 1 / 4, 0, -1 / 192, -2 / 3, -1, -1 / 3, -1 / 2, -1 / 6, -1 / 4],
  [
    -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
  ],
];

/** Y = A W': dA = dY W. */
const matmulBnb4: Rule = rule((b, node, dY) => {
  // onnxruntime's kernel gives another answer at each run then.
  if (intAttribute(node, 'transB', 1) !== 1)
    throw new UserError(`MatMulBnb4 "${nodeLabel(node)}": with transB 0 there is no gradient rule`);
  return [() => b.matmul(dY, b.cast(unpackedBnb4(b, node, dY), b.type(node.inputs[0]!)))];
});

/** The weight [N, K] of a MatMulBnb4 node: numbers of a table, times the largest of their block; all rows in one line. */
function unpackedBnb4(b: GraphBuilder, node: Node, like: ValueName): ValueName {
  const [, packed, largest] = node.inputs as [ValueName, ValueName, ValueName];
  const [k, n, block, kind] = ['K', 'N', 'block_size', 'quant_type'].map((name) => intAttribute(node, name, 0)) as [
    number,
    number,
    number,
    number,
  ];
  const blocks = Math.ceil((n * k) / block);
  // The first of two numbers is in the higher half of its byte.
  const halves = b.gather(unpackIntegers(b, b.reshapeTo(packed, [-1]), 4), b.int64s([1, 0]), 1);
  const numbers = b.gather(b.constant(b.type(like), [16], FOUR_BITS[kind] ?? []), b.reshapeTo(halves, [-1]), 0);
  const cut = (x: ValueName, length: number) => b.slice(x, b.int64s([0]), b.int64s([length]), [0]);
  const scale = b.op('Expand', [b.unsqueeze(b.cast(largest, b.type(like)), [1]), b.int64s([blocks, block])]);
  return b.reshapeTo(b.mul(cut(numbers, n * k), cut(b.reshapeTo(scale, [-1]), n * k)), [n, k]);
}

export const quantizedLinear = {
  QLinearMatMul: qLinearMatMul,
  QLinearConv: qLinearConv,
  'com.microsoft::MatMulNBits': matmulNBits,
  'com.microsoft::MatMulBnb4': matmulBnb4,
  // Gives rows of a table of integers: the gradient goes to what reads them, not to indices.
  'com.microsoft::GatherBlockQuantized': PIECEWISE_CONSTANT,
} as const;
