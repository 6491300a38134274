/**
 * What the backward pass computes once more instead of keeping it since the forward pass: large values that follow, for little
 * work, from others that are smaller or kept anyway. Of x, sigmoid(x) and x sigmoid(x) only x is kept; of a factor by
 * channel its pixel, not the plane; of rectified sums along a residual stream the first, where the branches are cheap.
 *
 * onnxruntime merges nodes that are equal, so what is computed again is written otherwise: with a convolution by ones
 * that the sigmoid is fused into, or with an attribute that has its default value.
 */
import { ints, intsAttribute } from '../../onnx/index.ts';
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { affine, canBeBlocked, spatial, spread, spreadFactors } from './blocked-layout.ts';

/**
 * Elements of a row from which on a value is computed again: the more passes it costs, the larger it has to be. A factor
 * by channel is only written once more; a gate has to be reckoned.
 */
const LARGE = { factor: 2 ** 16, sum: 2 ** 18, gate: 2 ** 20 } as const;
/** Channels that a convolution may read for its output to be computed again: each costs a product per element. */
const FEW_CHANNELS = 64;

/** Whether a value is worth being computed again; its channels allow for doing it in blocks. */
function isLarge(b: GraphBuilder, value: ValueName, kind: keyof typeof LARGE): boolean {
  const [size, channels] = [spatial(b, value), b.dims(value)?.[1]];
  return size !== undefined && canBeBlocked(b, value) && size[0] * size[1] * (channels as number) >= LARGE[kind];
}

/** Of a product that is x sigmoid(x) the place of x; the sigmoid is the other factor. */
export function gatedAt(b: GraphBuilder, { operator, domain, inputs }: Node): 0 | 1 | undefined {
  if (operator !== 'Mul' || domain !== '') return undefined;
  const isGate = (x: ValueName, s: ValueName) =>
    b.producer(s)?.operator === 'Sigmoid' && b.producer(s)!.inputs[0] === x && x !== s;
  const [first, second] = inputs as [ValueName, ValueName];
  return isGate(first, second) ? 0 : isGate(second, first) ? 1 : undefined;
}

/** x sigmoid(x) and sigmoid(x) for the backward pass: again from x where they are large, else as they are. */
export function gated(b: GraphBuilder, node: Node, at: 0 | 1): { readonly y: ValueName; readonly s: ValueName } {
  const [x, y] = [node.inputs[at]!, node.outputs[0]!];
  if (!isLarge(b, y, 'gate')) return { y, s: node.inputs[1 - at]! };
  const s = b.sigmoid(affine(b, x, 1));
  return { y: b.mul(x, s), s };
}

/** A factor as the backward pass reads it. */
export function again(b: GraphBuilder, value: ValueName): ValueName {
  const node = b.producer(value);
  if (node === undefined) return value;
  const at = gatedAt(b, node);
  if (at !== undefined) return gated(b, node, at).y;
  if (node.operator === 'Relu') return (isLarge(b, value, 'sum') ? residual(b, node) : undefined) ?? value;
  const factors = node.operator === 'Resize' && isLarge(b, value, 'factor') ? spreadFactors(b, node) : undefined;
  return factors === undefined ? value : spread(b, node.inputs[0]!, ...factors, { again: true });
}

/**
 * relu(convolution(u) + v) of a 1 x 1 convolution of few channels, where u and v are rectified themselves, so that their own
 * masks keep them. In a ResNet these are the widest values.
 */
function residual(b: GraphBuilder, { inputs: [sum] }: Node): ValueName | undefined {
  const isRectified = (name: ValueName | undefined) => b.producer(name ?? '')?.operator === 'Relu';
  const addition = b.producer(sum!);
  if (addition?.operator !== 'Add') return undefined;
  const at = addition.inputs.findIndex((name, index) => isCheap(b, name) && isRectified(addition.inputs[1 - index]));
  if (at < 0) return undefined;
  const branch = b.producer(addition.inputs[at]!)!;
  const { dilations, ...attributes } = branch.attributes;
  const other = dilations === undefined ? { ...attributes, dilations: ints([1, 1]) } : attributes;
  const convolved = b.op('Conv', branch.inputs, other, { dims: b.dims(branch.outputs[0]!) });
  return b.op('Relu', [b.add(convolved, again(b, addition.inputs[1 - at]!))]);
}

/** A 1 x 1 convolution that reads few channels of a rectified value. */
function isCheap(b: GraphBuilder, value: ValueName): boolean {
  const node = b.producer(value);
  if (node?.operator !== 'Conv' || node.domain !== '' || b.producer(node.inputs[0]!)?.operator !== 'Relu') return false;
  const [, channels, ...kernel] = b.dims(node.inputs[1]!) ?? [];
  const spread = intsAttribute(node, 'dilations') ?? [1, 1];
  return kernel.join() === '1,1' && typeof channels === 'number' && channels <= FEW_CHANNELS && spread.join() === '1,1';
}
