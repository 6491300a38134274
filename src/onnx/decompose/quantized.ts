/**
 * Quantised operators of com.microsoft: integer products with their scales, and arithmetic on quantised values as
 * dequantise, compute, quantise. The gradient passes these straight through.
 */
import type { GraphBuilder } from '../builder.ts';
import type { Node, ValueName } from '../model.ts';
import { float, floatAttribute, intAttribute, intsAttribute, nodeLabel, stringAttribute } from '../model.ts';
import type { EmittedOperator } from '../operators.ts';
import type { Decomposition } from './decomposition.ts';
import { given } from './decomposition.ts';

/** (A - za)(B - zb) sa sb + bias */
const matmulIntegerToFloat: Decomposition = (b, node) => {
  const [a, w, aScale, wScale] = node.inputs as [ValueName, ValueName, ValueName, ValueName];
  const integers = b.op('MatMulInteger', [a, w, given(node, 4) ?? '', given(node, 5) ?? '']);
  const product = b.mul(b.cast(integers, b.type(aScale)), b.mul(aScale, wScale));
  return [given(node, 6) ? b.add(product, node.inputs[6]!) : product];
};

const dynamicQuantizeMatMul: Decomposition = (b, node) => {
  const [a, w, wScale] = node.inputs as [ValueName, ValueName, ValueName];
  const [quantized, scale, zero] = b.emit('DynamicQuantizeLinear', [a], {}, { outputs: 3 });
  const integers = b.op('MatMulInteger', [quantized!, w, zero!, given(node, 3) ?? '']);
  const product = b.mul(b.cast(integers, b.type(a)), b.mul(scale!, wScale));
  return [given(node, 4) ? b.add(product, node.inputs[4]!) : product];
};

const dequantize = (b: GraphBuilder, x: ValueName, scale: ValueName, zero: ValueName | undefined) =>
  b.op('DequantizeLinear', [x, scale, zero ?? '']);
const quantize = (b: GraphBuilder, x: ValueName, scale: ValueName, zero: ValueName | undefined) =>
  b.op('QuantizeLinear', [x, scale, zero ?? '']);

/** f(a, b) on quantised values: A, sa, za, B, sb, zb, sc, zc. */
const binary =
  (operator: EmittedOperator): Decomposition =>
  (b, node) => {
    const [x, xs, xz, y, ys, yz, zs, zz] = node.inputs as [ValueName, ValueName, ...ValueName[]];
    const result = b.op(operator, [dequantize(b, x, xs, xz), dequantize(b, y!, ys!, yz)]);
    return [quantize(b, result, zs!, zz)];
  };

/** f(x) on quantised values: X, sx, zx, sy, zy. */
const unary =
  (f: (b: GraphBuilder, x: ValueName, node: Parameters<Decomposition>[1]) => ValueName | undefined): Decomposition =>
  (b, node) => {
    const [x, xs, xz, ys, yz] = node.inputs as [ValueName, ValueName, ...ValueName[]];
    const result = f(b, dequantize(b, x, xs, xz), node);
    return result === undefined ? undefined : [quantize(b, result, ys!, yz)];
  };

/** ys, yz, then x, s, z of each piece. */
const concat: Decomposition = (b, node) => {
  const [ys, yz, ...rest] = node.inputs as [ValueName, ValueName, ...ValueName[]];
  const pieces = Array.from({ length: rest.length / 3 }, (_, index) =>
    dequantize(b, rest[3 * index]!, rest[3 * index + 1]!, rest[3 * index + 2]),
  );
  return [quantize(b, b.concat(pieces, intAttribute(node, 'axis', 0)), ys, yz)];
};

/** condition, then x, s, z of either side, ys, yz. */
const where: Decomposition = (b, node) => {
  const [condition, x, xs, xz, y, ys, yz, zs, zz] = node.inputs as [ValueName, ValueName, ValueName, ...ValueName[]];
  return [quantize(b, b.where(condition, dequantize(b, x, xs, xz), dequantize(b, y!, ys!, yz)), zs!, zz)];
};

/** alpha A B sa sb + C, where C is of integers in the product's own units; A and B may be transposed. */
const gemm: Decomposition = (b, node) => {
  const [a, as, az, w, ws, wz] = node.inputs as [ValueName, ValueName, ValueName, ValueName, ValueName, ValueName];
  const operand = (x: ValueName, flag: string) => (intAttribute(node, flag, 0) === 1 ? b.matrixTranspose(x) : x);
  const product = b.op('MatMulInteger', [operand(a, 'transA'), operand(w, 'transB'), az, wz]);
  const integers = given(node, 6) ? b.add(product, node.inputs[6]!) : product;
  const alpha = floatAttribute(node, 'alpha', 1);
  const unit = alpha === 1 ? b.mul(as, ws) : b.mul(b.mul(as, ws), b.scalar(alpha, as));
  const result = b.mul(b.cast(integers, b.type(as)), unit);
  return [given(node, 7) ? quantize(b, result, node.inputs[7]!, given(node, 8)) : result];
};

const isChannelsLast = (node: Node) => intAttribute(node, 'channels_last', 0) === 1;
const withoutLayout = ({ attributes }: Node) =>
  Object.fromEntries(Object.entries(attributes).filter(([name]) => name !== 'channels_last'));
/** Padding that is said by a rule instead of by numbers. */
const isPaddedByRule = (node: Node) => !['NOTSET', ''].includes(stringAttribute(node, 'auto_pad', 'NOTSET'));

/** f of the value with its channels before the spatial axes, wherever they stand. */
const channelsFirst = (b: GraphBuilder, node: Node, x: ValueName, f: (x: ValueName) => ValueName): ValueName =>
  isChannelsLast(node) ? fromChannelsLast(b, x, f) : f(x);

const fromChannelsLast = (b: GraphBuilder, x: ValueName, f: (x: ValueName) => ValueName): ValueName => {
  const space = Array.from({ length: b.rank(x) - 2 }, (_, index) => index + 1);
  const last = b.rank(x) - 1;
  return b.transpose(f(b.transpose(x, [0, last, ...space])), [0, ...space.map((axis) => axis + 1), 1]);
};

/** QLinearConv of ai.onnx, which has a rule. */
const conv: Decomposition = (b, node) => {
  if (isPaddedByRule(node)) return undefined;
  return [
    channelsFirst(b, node, node.inputs[0]!, (x) => {
      const y = b.unusedName(`${nodeLabel(node)}/QLinearConv`);
      b.push({
        ...node,
        domain: '',
        inputs: [x, ...node.inputs.slice(1)],
        outputs: [y],
        attributes: withoutLayout(node),
      });
      return y;
    }),
  ];
};

const spatial = (b: GraphBuilder, x: ValueName) => Array.from({ length: b.rank(x) - 2 }, (_, index) => index + 2);

export const quantizedFamily = {
  'com.microsoft::MatMulIntegerToFloat': matmulIntegerToFloat,
  'com.microsoft::DynamicQuantizeMatMul': dynamicQuantizeMatMul,
  'com.microsoft::QLinearAdd': binary('Add'),
  'com.microsoft::QLinearMul': binary('Mul'),
  'com.microsoft::QLinearSigmoid': unary((b, x) => b.sigmoid(x)),
  'com.microsoft::QLinearLeakyRelu': unary((b, x, node) =>
    b.op('LeakyRelu', [x], { alpha: float(floatAttribute(node, 'alpha', 0.01)) }),
  ),
  'com.microsoft::QLinearSoftmax': unary((b, x, node) => b.softmax(x, intAttribute(node, 'axis', -1))),
  'com.microsoft::QLinearGlobalAveragePool': unary((b, x, node) =>
    channelsFirst(b, node, x, (image) => b.mean(image, spatial(b, image))),
  ),
  'com.microsoft::QLinearAveragePool': unary((b, x, node) =>
    isPaddedByRule(node)
      ? undefined
      : channelsFirst(b, node, x, (image) => b.op('AveragePool', [image], withoutLayout(node))),
  ),
  'com.microsoft::QLinearReduceMean': unary((b, x, node) =>
    b.mean(
      x,
      intsAttribute(node, 'axes') ?? Array.from({ length: b.rank(x) }, (_, axis) => axis),
      intAttribute(node, 'keepdims', 1) === 1,
    ),
  ),
  // Of bytes, which are ordered as what they stand for.
  'com.microsoft::NhwcMaxPool': (b, node) =>
    isPaddedByRule(node)
      ? undefined
      : [fromChannelsLast(b, node.inputs[0]!, (x) => b.op('MaxPool', [x], node.attributes))],
  'com.microsoft::QLinearConv': conv,
  'com.microsoft::QLinearWhere': where,
  'com.microsoft::QGemm': gemm,
  'com.microsoft::QLinearConcat': concat,
} satisfies Readonly<Record<string, Decomposition>>;
