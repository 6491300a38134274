/**
 * The gradient, in operators that onnxruntime's CPU keeps in its blocked layout.
 *
 * Its convolutions work on blocks of channels, and so do Add, Mul and Concat between them; for any other operator the
 * tensor is copied out of that layout and back, which in a convolutional net costs as much as the convolutions. So the
 * mask of a rectifier is built as a convolution too: each channel times a huge number, clipped to [0, 1], is 1 where the
 * rectified value is positive and 0 where it is 0. Powers of two keep this exact. At the bounds themselves the gradient
 * is 0, as in PyTorch's ReLU6 and hardtanh.
 */
import { int, ints } from '../../onnx/index.ts';
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import type { Rule, RuleTable } from '../rule.ts';
import { GRADIENT_RULES } from '../rules/index.ts';

const HUGE = 2 ** 100;
/** Channels of a depthwise convolution must fill whole blocks: of 8 or 16, by the processor. */
const BLOCK = 16;

/** [N, C, H, W] float32 with whole blocks of channels, made by a convolution or by what stays in its layout. */
function isBlocked(b: GraphBuilder, value: ValueName): boolean {
  const dims = b.dims(value);
  if (b.type(value) !== 'float32' || dims?.length !== 4 || typeof dims[1] !== 'number' || dims[1] % BLOCK !== 0)
    return false;
  let node: Node | undefined = b.producer(value);
  for (let steps = 0; node !== undefined && steps < 4; steps++) {
    if (node.operator === 'Conv') return true;
    if (!['Clip', 'Relu', 'Add', 'BatchNormalization'].includes(node.operator)) return false;
    node = b.producer(node.inputs[0]!);
  }
  return false;
}

/** Whether a gradient arrives in the blocked layout: from a convolution, or a sum or product of such. */
function arrivesBlocked(b: GraphBuilder, dY: ValueName): boolean {
  const node = b.producer(dY);
  if (node?.operator === 'Add' || node?.operator === 'Mul') return node.inputs.every((name) => arrivesBlocked(b, name));
  return node?.operator === 'Conv' || (node?.operator === 'Clip' && b.producer(node.inputs[0]!)?.operator === 'Conv');
}

/** 1 where factor * y + shift is positive, 0 where it is 0 or less. */
function step(b: GraphBuilder, y: ValueName, factor: number, shift: number): ValueName {
  const channels = b.dims(y)![1] as number;
  const fill = (value: number) => Array<number>(channels).fill(value);
  const weight = b.constant('float32', [channels, 1, 1, 1], fill(factor * HUGE));
  const bias = b.constant('float32', [channels], fill(shift * HUGE));
  const scaled = b.op(
    'Conv',
    [y, weight, bias],
    { group: int(channels), kernel_shape: ints([1, 1]) },
    { dims: b.dims(y) },
  );
  return b.op('Clip', [scaled, b.constant('float32', [], [0]), b.constant('float32', [], [1])]);
}

const fallBack = (operator: 'Relu' | 'Clip'): Rule => GRADIENT_RULES[operator] as Rule;

const relu: Rule = (b, node, gradients, context) => {
  const [y, dY] = [node.outputs[0]!, gradients[0]];
  if (dY === undefined || !isBlocked(b, y) || !arrivesBlocked(b, dY))
    return fallBack('Relu')(b, node, gradients, context);
  return [() => b.mul(dY, step(b, y, 1, 0))];
};

const clip: Rule = (b, node, gradients, context) => {
  const [y, dY] = [node.outputs[0]!, gradients[0]];
  const bound = (name: ValueName | undefined) => (name ? b.numbers(name)?.[0] : undefined);
  const [low, high] = [bound(node.inputs[1]), bound(node.inputs[2])];
  const plain = fallBack('Clip')(b, node, gradients, context);
  // Only bounds that times 2^100 are exact and finite: then y = bound gives exactly 0.
  const exact = (value: number | undefined) =>
    value === undefined || (Math.abs(value) < 2 ** 20 && Math.fround(value) === value);
  if (
    dY === undefined ||
    low === undefined ||
    !exact(low) ||
    !exact(high) ||
    !isBlocked(b, y) ||
    !arrivesBlocked(b, dY)
  )
    return plain;
  const input = () => {
    const above = b.mul(dY, step(b, y, 1, -low));
    return high === undefined ? above : b.mul(above, step(b, y, -1, high));
  };
  return [input, ...plain.slice(1)];
};

/** For programs that run on onnxruntime's CPU provider. */
export const BLOCKED_RULES: RuleTable = { ...GRADIENT_RULES, Relu: relu, Clip: clip };
