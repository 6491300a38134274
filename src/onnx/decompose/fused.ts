/** What onnxruntime's optimiser fuses: activations, products, convolutions and normalisations, taken apart again. */
import type { GraphBuilder } from '../builder.ts';
import { UserError } from '../errors.ts';
import type { Node, ValueName } from '../model.ts';
import { float, floatAttribute, int, intAttribute, nodeLabel, stringAttribute } from '../model.ts';
import type { Decomposition } from './decomposition.ts';
import { asked, given } from './decomposition.ts';

const scaled = (b: GraphBuilder, x: ValueName, factor: number) => (factor === 1 ? x : b.mul(x, b.scalar(factor, x)));
const plus = (b: GraphBuilder, x: ValueName, other: ValueName | undefined) => (other ? b.add(x, other) : x);

/** x Phi(x) */
export const gelu = (b: GraphBuilder, x: ValueName) =>
  b.mul(scaled(b, x, 0.5), b.add(b.erf(scaled(b, x, Math.SQRT1_2)), b.scalar(1, x)));

/** x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 */
export const fastGelu = (b: GraphBuilder, x: ValueName) => {
  const inner = b.mul(scaled(b, x, Math.sqrt(2 / Math.PI)), b.add(scaled(b, b.square(x), 0.044715), b.scalar(1, x)));
  return b.mul(scaled(b, x, 0.5), b.add(b.tanh(inner), b.scalar(1, x)));
};

const quickGelu: Decomposition = (b, node) => {
  const x = node.inputs[0]!;
  return [b.mul(x, b.sigmoid(scaled(b, x, floatAttribute(node, 'alpha', 1.702))))];
};

/** alpha op(A) op(B), where op may exchange the last two axes, and the batch axes with the last but one. */
const fusedMatMul: Decomposition = (b, node) => {
  const operand = (index: number, flag: string, batchFlag: string) => {
    let x = node.inputs[index]!;
    const rank = b.rank(x);
    if (intAttribute(node, batchFlag, 0) === 1) {
      // [m, batch..., k] as [batch..., m, k]
      const order = Array.from({ length: rank }, (_, axis) => axis);
      x = b.transpose(x, [...order.slice(1, rank - 1), 0, rank - 1]);
    }
    return intAttribute(node, flag, 0) === 1 && rank > 1 ? b.matrixTranspose(x) : x;
  };
  const product = b.matmul(operand(0, 'transA', 'transBatchA'), operand(1, 'transB', 'transBatchB'));
  return [scaled(b, product, floatAttribute(node, 'alpha', 1))];
};

/** Adds what is fused into a node behind it: an activation with its parameters. */
function activated(b: GraphBuilder, node: Node, x: ValueName): ValueName {
  const name = stringAttribute(node, 'activation', '');
  const attribute = node.attributes['activation_params'];
  const parameters = attribute?.kind === 'floats' ? attribute.value : [];
  const parameter = (key: string, index: number, fallback: number) =>
    parameters[index] ?? floatAttribute(node, `activation_${key}`, fallback);
  switch (name) {
    case '':
      return x;
    case 'Relu':
      return b.op('Relu', [x]);
    case 'Tanh':
      return b.tanh(x);
    case 'Sigmoid':
      return b.sigmoid(x);
    case 'LeakyRelu':
      return b.op('LeakyRelu', [x], { alpha: float(parameter('alpha', 0, 0.01)) });
    case 'HardSigmoid': {
      const [alpha, beta] = [parameter('alpha', 0, 0.2), parameter('beta', 1, 0.5)];
      return b.op('HardSigmoid', [x], { alpha: float(alpha), beta: float(beta) });
    }
    case 'Clip':
      return b.op('Clip', [x, b.scalar(parameter('min', 0, -Infinity), x), b.scalar(parameter('max', 1, Infinity), x)]);
    default:
      throw new UserError(`${node.operator} "${nodeLabel(node)}": the fused activation "${name}" is unknown`);
  }
}

const FUSED_ATTRIBUTES = /^(activation|activation_.*)$/;
const ownAttributes = (node: Node) =>
  Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !FUSED_ATTRIBUTES.test(name)));

const fusedConv: Decomposition = (b, node) => {
  const conv = b.op('Conv', node.inputs.slice(0, 3), ownAttributes(node));
  return [activated(b, node, plus(b, conv, given(node, 3)))];
};

const fusedGemm: Decomposition = (b, node) => [activated(b, node, b.op('Gemm', node.inputs, ownAttributes(node)))];

/** LayerNormalization of ai.onnx over the last axis. */
const layerNorm = (b: GraphBuilder, node: Node, x: ValueName, gamma: ValueName, beta: ValueName | undefined) => {
  const count = asked(node, 1) || asked(node, 2) ? 3 : 1;
  const attributes = { axis: int(-1), epsilon: float(floatAttribute(node, 'epsilon', 1e-12)) };
  return b.emit('LayerNormalization', [x, gamma, beta ?? ''], attributes, { outputs: count });
};

/** x / sqrt(mean(x^2) + eps) times gamma; and the factor. */
function rmsNorm(b: GraphBuilder, node: Node, x: ValueName, gamma: ValueName, axis = -1, fallback = 1e-5) {
  const first = b.axis(x, axis);
  const axes = Array.from({ length: b.rank(x) - first }, (_, index) => first + index);
  const epsilon = floatAttribute(node, 'epsilon', fallback);
  const inverse = b.reciprocal(b.sqrt(b.add(b.mean(b.square(x), axes), b.scalar(epsilon, x))));
  return { y: b.mul(b.mul(x, inverse), gamma), inverse };
}

const skipLayerNorm: Decomposition = (b, node) => {
  const [input, skip, gamma] = node.inputs as [ValueName, ValueName, ValueName];
  const sum = plus(b, b.add(input, skip), given(node, 4));
  const [y, mean, inverse] = layerNorm(b, node, sum, gamma, given(node, 3));
  return [y, mean, inverse, sum];
};

const skipRmsNorm: Decomposition = (b, node) => {
  const [input, skip, gamma] = node.inputs as [ValueName, ValueName, ValueName];
  const sum = plus(b, b.add(input, skip), given(node, 3));
  const { y, inverse } = rmsNorm(b, node, sum, gamma, -1, 1e-12);
  return [y, undefined, inverse, sum];
};

const simplifiedLayerNorm: Decomposition = (b, node) => {
  const { y, inverse } = rmsNorm(b, node, node.inputs[0]!, node.inputs[1]!, intAttribute(node, 'axis', -1));
  return [y, inverse];
};

/** A tensor as floats; quantised ones have a scale and a zero point. */
type Floats = (x: ValueName, input: number) => ValueName;

/**
 * Embeddings of words, positions and segments, summed and normalised; what is quantised is taken to floats by `floats`,
 * given the position among the inputs it has in the float operator.
 */
const embedLayers = (b: GraphBuilder, node: Node, positions: ValueName | undefined, floats: Floats) => {
  const [ids, segments, words, places, kinds, gamma, beta, mask] = node.inputs;
  const long = (value: ValueName) => b.cast(value, 'int64');
  const select = (table: ValueName, at: ValueName, input: number) => floats(b.gather(table, at, 0), input);
  const place = select(places!, positions ? long(positions) : b.positions(ids!, 1), 3);
  let sum = b.add(select(words!, long(ids!), 2), place);
  if (segments && kinds) sum = b.add(sum, select(kinds, long(segments), 4));
  const [y] = layerNorm(b, { ...node, outputs: [] }, sum, floats(gamma!, 5), beta && floats(beta, 6));
  if (!asked(node, 1)) return [y, undefined, sum];
  const flags = mask
    ? long(mask)
    : b.op('ConstantOfShape', [b.shape(ids!)], {
        value: { kind: 'tensor', value: b.weightOf('int64', [1], [0]) },
      });
  return [y, b.cast(b.sum(flags, [1], false), 'int32'), sum];
};

const embedLayerNorm: Decomposition = (b, node) => embedLayers(b, node, node.inputs[8], (x) => x);

/** Scales stand at 8 to 12 and zero points at 13 to 17, in the order of the tables, gamma and beta at 2 to 6. */
const quantizedEmbedLayerNorm: Decomposition = (b, node) =>
  embedLayers(b, node, undefined, (x, input) =>
    b.op('DequantizeLinear', [x, node.inputs[input + 6]!, node.inputs[input + 11] ?? '']),
  );

export const fusedFamily = {
  'com.microsoft::Gelu': (b, node) => [gelu(b, node.inputs[0]!)],
  'com.microsoft::BiasGelu': (b, node) => [gelu(b, b.add(node.inputs[0]!, node.inputs[1]!))],
  'com.microsoft::FastGelu': (b, node) => [fastGelu(b, plus(b, node.inputs[0]!, given(node, 1)))],
  'com.microsoft::QuickGelu': quickGelu,
  'com.microsoft::FusedMatMul': fusedMatMul,
  'com.microsoft::TransposeMatMul': fusedMatMul,
  'com.microsoft::FusedConv': fusedConv,
  'com.microsoft::FusedGemm': fusedGemm,
  'com.microsoft::SkipLayerNormalization': skipLayerNorm,
  'com.microsoft::SkipSimplifiedLayerNormalization': skipRmsNorm,
  'com.microsoft::EmbedLayerNormalization': embedLayerNorm,
  'com.microsoft::QEmbedLayerNormalization': quantizedEmbedLayerNorm,
  // Registered in ai.onnx by onnxruntime, without a place in the standard.
  SimplifiedLayerNormalization: simplifiedLayerNorm,
} satisfies Readonly<Record<string, Decomposition>>;
