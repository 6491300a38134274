/**
 * Quantised chains, straight-through: rounding and clamping count as the identity, scales and zero points as constants,
 * so the gradient is that of the float model the chain stands for.
 */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { intAttribute } from '../../onnx/index.ts';
import { unbroadcast } from '../broadcasting.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';
import { spreadBlocks, sumBlocks } from './blockwise.ts';
import { convInput, geometry } from './convolution.ts';
import { matmulLeft, matmulRight } from './linear.ts';

// y = round(x / scale) + zero
const dynamicQuantize: Rule = (b, node, [dY]) => [
  dY === undefined ? undefined : () => b.div(dY, b.siblingOutput(node.outputs[0]!, 1)),
];
const quantize = rule((b, node, dY) => [() => b.div(dY, alongAxis(b, node, dY)), undefined, undefined]);
// y = scale (x - zero): d scale = sum of dY (x - zero)
const dequantize = rule((b, node, dY) => [
  () => b.mul(dY, alongAxis(b, node, dY)),
  () => {
    const [x, scale, zero] = node.inputs as [ValueName, ValueName, ValueName?];
    const float = b.cast(x, b.type(dY));
    const offset = zero && alongAxis(b, node, dY, zero);
    const product = b.mul(dY, offset ? b.sub(float, offset) : float);
    const summed = isBlockwise(node)
      ? sumBlocks(b, node, product)
      : b.reshapeLike(unbroadcast(b, product, alongAxis(b, node, dY)), scale);
    return b.cast(summed, b.type(scale));
  },
  undefined,
]);

const isBlockwise = (node: Node) => intAttribute(node, 'block_size', 0) !== 0;

/** The scale, or zero point, of a (de)quantised value: one for all, or one for each position or block along an axis. */
function alongAxis(b: GraphBuilder, node: Node, dY: ValueName, value = node.inputs[1]!): ValueName {
  const [x, scale] = [node.inputs[0]!, b.cast(value, b.type(dY))];
  if (isBlockwise(node)) return spreadBlocks(b, node, scale);
  if (b.rank(scale) === 0) return scale;
  const after = b.rank(x) - 1 - b.axis(x, intAttribute(node, 'axis', 1));
  const axes = Array.from({ length: after }, (_, index) => index + 1);
  return b.dims(scale)?.[0] === 1 ? b.reshapeTo(scale, []) : b.unsqueeze(scale, axes);
}

/** Y = (A - za)(B - zb), integers; the gradient is taken as of floats. */
const matmulInteger = rule((b, node, dY) => {
  const [a, w, zeroA, zeroW] = node.inputs as [ValueName, ValueName, ValueName?, ValueName?];
  const centred = (value: ValueName, zero: ValueName | undefined, column: boolean) => {
    const float = b.cast(value, b.type(dY));
    if (!zero) return float;
    const offset = b.cast(zero, b.type(dY));
    // Zero points per row of A stand in a column.
    return b.sub(float, column && b.rank(zero) === 1 && b.dims(zero)?.[0] !== 1 ? b.unsqueeze(offset, [-1]) : offset);
  };
  return [
    () => matmulLeft(b, a, centred(w, zeroW, false), dY),
    () => matmulRight(b, centred(a, zeroA, true), w, dY),
    undefined,
    undefined,
  ];
});

/** Y = (X - zx) * (W - zw), integers; zero points of W may differ by output channel. */
const convInteger = rule((b, node, dY) => {
  const [x, w, , zeroW] = node.inputs as [ValueName, ValueName, ValueName?, ValueName?];
  const centred = () => {
    const float = b.cast(w, b.type(dY));
    if (!zeroW) return float;
    const offset = b.cast(zeroW, b.type(dY));
    const space = Array.from({ length: b.rank(w) - 1 }, (_, index) => index + 1);
    return b.sub(float, b.rank(zeroW) === 0 ? offset : b.unsqueeze(offset, space));
  };
  return [() => convInput(b, geometry(b, node), x, centred(), dY), undefined, undefined, undefined];
});

export const quantized = {
  ConvInteger: convInteger,
  DynamicQuantizeLinear: dynamicQuantize,
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  MatMulInteger: matmulInteger,
  // What onnxruntime's quantiser writes for 16 bits where the opset has no such integers.
  'com.microsoft::QuantizeLinear': quantize,
  'com.microsoft::DequantizeLinear': dequantize,
} satisfies Readonly<Record<string, Rule>>;
