/** Products of quantised values, straight-through: as the float products they stand for, in quantised units. */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { UserError, intAttribute } from '../../onnx/index.ts';
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
  if (groups) throw new UserError(`MatMulNBits "${node.name}": group indices have no gradient rule`);
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
  const integers = b.reshapeTo(unpack(b, packed, bits), [n, blocks, -1]);
  const cut = b.slice(integers, b.int64s([0]), b.int64s([block]), [2]);
  const float = b.cast(cut, b.type(like));
  let offset = b.scalar(2 ** (bits - 1), like);
  if (zeros) {
    const unpacked = b.type(zeros) === 'uint8' ? unpack(b, b.reshapeTo(zeros, [n, -1]), bits) : zeros;
    const rows = b.slice(b.reshapeTo(unpacked, [n, -1]), b.int64s([0]), b.int64s([blocks]), [1]);
    offset = b.unsqueeze(b.cast(rows, b.type(like)), [2]);
  }
  const scale = b.reshapeTo(b.cast(scales, b.type(like)), [n, blocks, 1]);
  const whole = b.reshapeTo(b.mul(b.sub(float, offset), scale), [n, blocks * block]);
  return blocks * block === k ? whole : b.slice(whole, b.int64s([0]), b.int64s([k]), [1]);
}

/** Each byte as the integers it holds, the lowest first, along a new last axis. */
function unpack(b: GraphBuilder, bytes: ValueName, bits: number): ValueName {
  if (bits === 8) return b.unsqueeze(bytes, [b.rank(bytes)]);
  const shifts = Array.from({ length: 8 / bits }, (_, index) => index * bits);
  const wide = b.cast(b.unsqueeze(bytes, [b.rank(bytes)]), 'int32');
  const divisors = b.constant(
    'int32',
    [shifts.length],
    shifts.map((shift) => 2 ** shift),
  );
  const base = b.constant('int32', [], [2 ** bits]);
  // Shifting right is a division, the lowest bits are the rest of one.
  const shifted = b.div(wide, divisors);
  return b.sub(shifted, b.mul(b.div(shifted, base), base));
}

export const quantizedLinear = {
  QLinearMatMul: qLinearMatMul,
  QLinearConv: qLinearConv,
  'com.microsoft::MatMulNBits': matmulNBits,
  // Gives rows of a table of integers: the gradient goes to what reads them, not to indices.
  'com.microsoft::GatherBlockQuantized': PIECEWISE_CONSTANT,
} as const;
