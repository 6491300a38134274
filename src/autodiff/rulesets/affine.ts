/** Operators that are linear in their data and in their weight: y = W x + b. */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import type { NodeRule } from '../rule.ts';
import { ruleKey } from '../rule.ts';
import { GRADIENT_RULES } from '../rules/index.ts';
import type { Scene } from './scene.ts';
import { consumersOf, movingValues } from './scene.ts';

export interface Affine {
  readonly node: Node;
  /** Which input is the data, and which the weight. */
  readonly data: 0 | 1;
  readonly weight: ValueName;
  readonly bias: ValueName | undefined;
  /** The whole sum, with the bias an exporter adds in a node of its own: the operator's output otherwise. */
  readonly output: ValueName;
  /** No other affine operator stands between it and the input. */
  readonly first: boolean;
}

const AFFINE = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

/** All affine operators whose weight does not depend on the input, by the name of their output. */
export function affineNodes(scene: Scene): ReadonlyMap<ValueName, Affine> {
  const { b } = scene;
  const moving = movingValues(scene);
  const consumers = consumersOf(scene);
  /** Values that have an affine operator before them. */
  const behind = new Set<ValueName>();
  const found = new Map<ValueName, Affine>();
  for (const node of b.nodes()) {
    const inputs = node.inputs.filter((input) => moving.has(input));
    if (inputs.length === 0) continue;
    const data = moving.has(node.inputs[0]!) ? 0 : 1;
    const isAffine =
      AFFINE.has(node.operator) && node.domain === '' && inputs.length === 1 && inputs[0] === node.inputs[data];
    if (isAffine) {
      const own = node.inputs[2];
      const added = own ? undefined : separateBias(node.outputs[0]!, consumers, moving);
      found.set(node.outputs[0]!, {
        node,
        data,
        weight: node.inputs[1 - data]!,
        bias: own || added?.bias,
        output: added?.sum ?? node.outputs[0]!,
        first: !behind.has(inputs[0]!),
      });
    }
    if (isAffine || inputs.some((input) => behind.has(input))) for (const output of node.outputs) behind.add(output);
  }
  return found;
}

/** A constant added to a product nobody else reads. */
function separateBias(
  product: ValueName,
  consumers: ReadonlyMap<ValueName, readonly Node[]>,
  moving: ReadonlySet<ValueName>,
): { readonly bias: ValueName; readonly sum: ValueName } | undefined {
  const readers = consumers.get(product) ?? [];
  const add = readers[0];
  if (readers.length !== 1 || add?.operator !== 'Add') return undefined;
  const other = add.inputs[0] === product ? add.inputs[1]! : add.inputs[0]!;
  return moving.has(other) ? undefined : { bias: other, sum: add.outputs[0]! };
}

/** The operator on other data, another weight, and a bias or none. */
export function applyAffine(
  b: GraphBuilder,
  { node, data }: Affine,
  x: ValueName,
  weight: ValueName,
  bias?: ValueName,
): ValueName {
  const operands = data === 0 ? [x, weight] : [weight, x];
  // A bias that stands in a node of its own is shaped as that takes it: [1, C, 1, 1] behind a convolution.
  const inside = bias !== undefined && Boolean(node.inputs[2]);
  const output = b.unusedName(`onnxray/${node.operator}`);
  b.push(
    {
      ...node,
      name: output,
      inputs: inside ? [...operands, bias] : operands,
      outputs: [output],
    },
    b.dims(node.outputs[0]!),
  );
  return bias !== undefined && !inside ? b.add(output, bias) : output;
}

/** W^T g: what the operator's gradient is for its data, with another weight. */
export function transposeAffine(
  b: GraphBuilder,
  { node, data }: Affine,
  x: ValueName,
  weight: ValueName,
  g: ValueName,
): ValueName {
  const inputs = data === 0 ? [x, weight] : [weight, x];
  const pullbacks = (GRADIENT_RULES[ruleKey(node)] as NodeRule)(b, { ...node, inputs }, [g]);
  return pullbacks[data]!();
}
