/**
 * The gradient, in operators that onnxruntime's CPU keeps in its blocked layout.
 *
 * Its convolutions work on blocks of channels, and so do Add, Mul and some activations between them; for any other
 * operator the tensor is copied out of that layout and back, which in a convolutional net costs as much as the
 * convolutions. The mask of a rectifier is an activation, too: a hard sigmoid, min(1, max(0, factor y + shift)), so steep
 * that it is 1 where the rectified value is positive and 0 where it is 0. Powers of two keep this exact. At the bounds
 * themselves the gradient is 0, as in PyTorch's ReLU6 and hardtanh. Whatever the reverse pass needs beside these is built as
 * a depthwise convolution:
 * - 1 - s in the gradient of x s with s = sigmoid(x), which is s + y (1 - s) with y = x s;
 * - a batch norm's factor;
 * - what is the same for a whole channel: the gradient of a global mean, factors of squeeze and excitation, as a maximum over
 *   windows with one pixel in each;
 * - large values once more instead of keeping them since the forward pass (again.ts);
 * - strides of depthwise and 1 x 1 convolutions, as zeros between the gradient's elements, where a transposed convolution
 *   would leave the layout and be slower; those of other convolutions by phases (strided.ts).
 */
import { GraphBuilder, floatAttribute, ints, pruneModel } from '../../onnx/index.ts';
import type { Model, Node, ValueName } from '../../onnx/index.ts';
import { unbroadcast } from '../broadcasting.ts';
import type { Rule, RuleTable } from '../rule.ts';
import { GRADIENT_RULES } from '../rules/index.ts';
import { again } from './again.ts';
import { gatedByErf, gatedByErfGradient } from './feed-forward.ts';
import { geluOf, geluGradient } from './gelu.ts';
import { hardSigmoid, hardSwish } from './hard.ts';
import { TRANSFORMER_RULES } from './transformer.ts';
import {
  affine,
  canBeBlocked,
  enter,
  repeatsRow,
  rowSize,
  spatial,
  spread,
  spreadFactors,
  stays,
  step,
} from './blocked-layout.ts';
import { conv } from './strided.ts';
import { SILU_DOMAIN, gatedAt, silu, siluNode, siluProducts } from './silu.ts';

const plain = (operator: keyof typeof GRADIENT_RULES): Rule => GRADIENT_RULES[operator] as Rule;

/**
 * dY times 1 or 0: less time than the Where of the plain rules takes (bench/README.md). An infinity that meets a 0 here makes
 * NaN, where the plain rules give 0; what runs these rules says so when a number is not finite, and at which node.
 */
const masked = (b: GraphBuilder, condition: ValueName, dY: ValueName) => b.mul(dY, b.cast(condition, b.type(dY)));

const relu: Rule = (b, node, gradients, context) => {
  const [y, dY] = [node.outputs[0]!, gradients[0]];
  // What is rectified already has its mask there.
  if (dY !== undefined && b.producer(node.inputs[0]!)?.operator === 'Relu') return [() => dY];
  if (dY === undefined) return plain('Relu')(b, node, gradients, context);
  if (!stays(b, y)) return [() => masked(b, b.cast(y, 'bool'), dY)];
  return [() => b.mul(enter(b, dY), step(b, y, 1, 0))];
};

const clip: Rule = (b, node, gradients, context) => {
  const [y, dY] = [node.outputs[0]!, gradients[0]];
  const bound = (name: ValueName | undefined) => (name ? b.numbers(name)?.[0] : undefined);
  const [low, high] = [bound(node.inputs[1]), bound(node.inputs[2])];
  const otherwise = plain('Clip')(b, node, gradients, context);
  // Only bounds that times 2^100 are exact and finite: then y = bound gives exactly 0.
  const exact = (value: number | undefined) =>
    value === undefined || (Math.abs(value) < 2 ** 20 && Math.fround(value) === value);
  if (dY === undefined) return otherwise;
  if (low === undefined || !exact(low) || !exact(high) || !stays(b, y))
    return [() => masked(b, b.equal(node.inputs[0]!, y), dY), ...otherwise.slice(1)];
  const input = () => {
    const above = b.mul(enter(b, dY), step(b, y, 1, -low));
    return high === undefined ? above : b.mul(above, step(b, y, -1, high));
  };
  return [input, ...otherwise.slice(1)];
};

/**
 * x sigmoid(x) whose sigmoid is read elsewhere, too, or else it would be one node (silu.ts): the derivative of both, so that the
 * sigmoid's own has only its other readers' to add. Not where somebody asks for the sigmoid's gradient itself, as a class
 * activation map at it does.
 */
const mul: Rule = (b, node, gradients, context) => {
  const dY = gradients[0];
  const y = node.outputs[0]!;
  const [first, second] = node.inputs as [ValueName, ValueName];
  const gelu = dY === undefined ? undefined : geluOf(b, node);
  if (dY !== undefined && gelu !== undefined && !context.asked(node.inputs[1 - gelu.at]!)) {
    const factor = () => geluGradient(b, gelu, dY);
    return gelu.at === 0 ? [factor, undefined] : [undefined, factor];
  }
  const gated = dY === undefined ? undefined : gatedByErf(b, node);
  if (dY !== undefined && gated !== undefined && !context.asked(node.inputs[1 - gated]!)) {
    const input = () => gatedByErfGradient(b, node.inputs[gated]!, node.inputs[1 - gated]!, dY);
    return gated === 0 ? [input, undefined] : [undefined, input];
  }
  if (dY === undefined || !stays(b, y)) return plain('Mul')(b, node, gradients, context);
  const at = gatedAt(node, (value) => b.producer(value));
  if (at === undefined || context.asked(node.inputs[1 - at]!)) {
    const product = (other: ValueName, own: ValueName) => () => unbroadcast(b, b.mul(dY, again(b, other)), own);
    return [product(second, first), product(first, second)];
  }
  const input = () => {
    const s = node.inputs[1 - at]!;
    return b.mul(enter(b, dY), b.add(s, b.mul(y, affine(b, s, -1, 1))));
  };
  return at === 0 ? [input, undefined] : [undefined, input];
};

const sigmoid: Rule = (b, node, gradients, context) => {
  const [s, dY] = [node.outputs[0]!, gradients[0]];
  if (dY === undefined || !stays(b, s)) return plain('Sigmoid')(b, node, gradients, context);
  return [() => b.mul(enter(b, dY), b.mul(s, affine(b, s, -1, 1)))];
};

/** y = factor x + shift by channel. */
const batchNorm: Rule = (b, node, gradients, context) => {
  const dY = gradients[0];
  const otherwise = plain('BatchNormalization')(b, node, gradients, context);
  const [, scale, , , variance] = node.inputs as [ValueName, ValueName, ValueName, ValueName, ValueName];
  const constant = b.isConstant(scale) && b.isConstant(variance);
  if (dY === undefined || !constant || !stays(b, node.outputs[0]!)) return otherwise;
  const input = () => {
    const spreadOf = b.sqrt(b.add(variance, b.scalar(floatAttribute(node, 'epsilon', 1e-5), variance)));
    const channels = b.dims(node.outputs[0]!)![1] as number;
    const weight = b.reshapeTo(b.div(scale, spreadOf), [channels, 1, 1, 1]);
    const unit = { strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: channels };
    return b.conv(dY, weight, unit, b.dims(node.outputs[0]!));
  };
  return [input, ...otherwise.slice(1)];
};

/** The mean of a channel: its gradient over the number of pixels, for each of them. */
const globalAveragePool: Rule = (b, node, gradients, context) => {
  const [x, dY] = [node.inputs[0]!, gradients[0]];
  const size = spatial(b, x);
  if (dY === undefined || size === undefined || !stays(b, x))
    return plain('GlobalAveragePool')(b, node, gradients, context);
  return [() => spread(b, affine(b, dY, 1 / (size[0] * size[1])), ...size)];
};

/** A pixel that was repeated over a plane gets the plane's sum. */
const resize: Rule = (b, node, gradients, context) => {
  const [x, dY] = [node.inputs[0]!, gradients[0]];
  const factors = spreadFactors(b, node);
  const size = spatial(b, x);
  if (dY === undefined || factors === undefined || size?.join() !== '1,1' || !canBeBlocked(b, x))
    return plain('Resize')(b, node, gradients, context);
  return [() => affine(b, b.op('GlobalAveragePool', [dY], {}, { dims: b.dims(x) }), factors[0] * factors[1])];
};

/** What repeats a row gets the sum over rows. */
const maxPool: Rule = (b, node, gradients, context) => {
  const [x, dY] = [node.inputs[0]!, gradients[0]];
  const count = repeatsRow(b, node);
  if (dY === undefined || count === undefined || !canBeBlocked(b, x))
    return plain('MaxPool')(b, node, gradients, context);
  return [() => affine(b, b.op('AveragePool', [dY], { kernel_shape: ints([count, 1]) }, { dims: b.dims(x) }), count)];
};

/** For programs that run on onnxruntime's CPU provider. */
export const BLOCKED_RULES: RuleTable = {
  ...GRADIENT_RULES,
  ...TRANSFORMER_RULES,
  Relu: relu,
  Clip: clip,
  Mul: mul,
  Sigmoid: sigmoid,
  HardSigmoid: hardSigmoid,
  HardSwish: hardSwish,
  BatchNormalization: batchNorm,
  GlobalAveragePool: globalAveragePool,
  MaxPool: maxPool,
  Resize: resize,
  Conv: conv,
  'com.microsoft::QuickGelu': silu,
};

/**
 * The model for these rules, which computes the same numbers: x sigmoid(x) is one node; factors by channel, [N, C, 1, 1], that a
 * blocked [N, C, H, W] is multiplied with are spread over the plane first, as squeeze and excitation has them, and the product
 * stays in blocks, as its gradients do; and residual sums have a copy to be added into.
 */
export function inBlockedForm(model: Model, kept: readonly ValueName[]): Model {
  if (!model.graph.nodes.some(({ operator }) => operator === 'Mul' || operator === 'Add')) return model;
  const products = siluProducts(model, kept);
  const b = new GraphBuilder({ ...model, graph: { ...model.graph, nodes: [] } });
  b.reserve(model.graph.nodes);
  if (products.size > 0) b.importDomain(SILU_DOMAIN);
  for (const node of model.graph.nodes) {
    const x = products.get(node);
    if (x !== undefined && stays(b, x)) b.push(siluNode(node, x));
    else if (node.domain !== '') b.push(node);
    else if (node.operator === 'Mul') b.push(spreadFactor(b, node));
    else b.push(node.operator === 'Add' ? addCopied(b, node) : node);
  }
  return pruneModel(b.build());
}

/** Elements of a row from which on a sum is worth a copy. */
const COPIED = 2 ** 16;

/**
 * A sum along a residual stream, whose rectified term the backward pass reads for its mask: onnxruntime adds a convolution's
 * output into its other term, and copies that before, in one thread, where it is still read. Rectified once more it is a
 * copy, made in all threads, that nobody else reads.
 */
function addCopied(b: GraphBuilder, node: Node): Node {
  const at = node.inputs.findIndex((name) => b.producer(name)?.operator === 'Relu' && stays(b, name));
  const [rectified, other] = [node.inputs[at], node.inputs[1 - at]];
  if (rectified === undefined || other === undefined || b.producer(other)?.operator !== 'Conv') return node;
  if (!stays(b, other) || rowSize(b, rectified) < COPIED || b.dims(other)?.join() !== b.dims(rectified)?.join())
    return node;
  const copied = b.op('Relu', [rectified]);
  return { ...node, inputs: at === 0 ? [copied, other] : [other, copied] };
}

function spreadFactor(b: GraphBuilder, node: Node): Node {
  const wide = node.inputs.find((name) => spatial(b, name)?.join() !== '1,1' && stays(b, name));
  const factor = node.inputs.find((name) => name !== wide);
  const size = wide === undefined ? undefined : spatial(b, wide);
  if (wide === undefined || factor === undefined || size === undefined || b.isConstant(factor)) return node;
  const [dims, own] = [b.dims(wide)!, b.dims(factor)];
  if (own?.length !== 4 || own[0] !== dims[0] || own[1] !== dims[1] || own[2] !== 1 || own[3] !== 1) return node;
  return { ...node, inputs: [wide, spread(b, affine(b, factor, 1), ...size)] };
}
