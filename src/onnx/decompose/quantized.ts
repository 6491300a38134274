/**
 * Quantised operators of com.microsoft: integer products with their scales, and arithmetic on quantised values as
 * dequantise, compute, quantise. The gradient passes these straight through.
 */
import type { GraphBuilder } from '../builder.ts';
import type { ValueName } from '../model.ts';
import { float, floatAttribute, intAttribute } from '../model.ts';
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
    intAttribute(node, 'channels_last', 0) === 1 ? undefined : b.mean(x, spatial(b, x)),
  ),
  'com.microsoft::QLinearConcat': concat,
} satisfies Readonly<Record<string, Decomposition>>;
