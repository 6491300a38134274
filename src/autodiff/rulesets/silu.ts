/**
 * x sigmoid(x) as one activation. onnxruntime has it as QuickGelu with a factor of 1, in its blocked layout too, and fuses the two
 * operators by itself where nothing else reads the sigmoid; written so in the first place, the backward pass can reckon a
 * sigmoid of its own from x, which is then all that is kept, and the two are not found to be the same.
 */
import { float } from '../../onnx/index.ts';
import type { Model, Node, ValueName } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { affine, enter } from './blocked-layout.ts';
import { readerCounts } from './scene.ts';

export const SILU_DOMAIN = 'com.microsoft';

/** Of a product that is x sigmoid(x) the place of x; the sigmoid is the other factor. */
export function gatedAt(
  { operator, domain, inputs }: Node,
  producer: (value: ValueName) => Node | undefined,
): 0 | 1 | undefined {
  if (operator !== 'Mul' || domain !== '') return undefined;
  const isGate = (x: ValueName, s: ValueName) =>
    producer(s)?.operator === 'Sigmoid' && producer(s)!.inputs[0] === x && x !== s;
  const [first, second] = inputs as [ValueName, ValueName];
  return isGate(first, second) ? 0 : isGate(second, first) ? 1 : undefined;
}

/** The products x sigmoid(x) of a graph whose sigmoid nobody else reads, and where x is; `kept` names values that must stay. */
export function siluProducts(model: Model, kept: readonly ValueName[]): ReadonlyMap<Node, ValueName> {
  const { graph } = model;
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const readers = readerCounts(model, kept);
  const found = new Map<Node, ValueName>();
  for (const node of graph.nodes) {
    const at = gatedAt(node, (value) => producers.get(value));
    if (at !== undefined && readers.get(node.inputs[1 - at]!) === 1) found.set(node, node.inputs[at]!);
  }
  return found;
}

/** A product x sigmoid(x) as one node. */
export const siluNode = (product: Node, x: ValueName): Node => ({
  ...product,
  operator: 'QuickGelu',
  domain: SILU_DOMAIN,
  inputs: [x],
  attributes: { alpha: float(1) },
});

/**
 * With s = sigmoid(x) the slope is s (1 + x (1 - s)), which is s (1 - y(-x)) for y(x) = x s. The activation of -x is fused from its two
 * operators. A sum of tensors, s (1 + x - y), takes a pass less but costs more: the one that is kept gets copied, in one thread.
 */
export const silu: Rule = (b, node, [dY]) => {
  if (dY === undefined) return [undefined];
  const x = node.inputs[0]!;
  const input = () => {
    const opposite = affine(b, x, -1);
    const rest = affine(b, b.mul(opposite, b.sigmoid(opposite)), -1, 1);
    return b.mul(enter(b, dY), b.mul(b.sigmoid(x), rest));
  };
  return [input];
};
