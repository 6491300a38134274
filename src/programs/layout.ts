/** Where a value of four axes has its channels, told from the operators it came through. */
import type { Facts, Model, Node, ValueName } from '../onnx/index.ts';

export type Layout = 'first' | 'last' | undefined;

/** Operators over [N, C, H, W], by their definition. */
const SPATIAL = new Set(
  (
    'Conv ConvInteger ConvTranspose QLinearConv DeformConv MaxPool AveragePool LpPool GlobalAveragePool ' +
    'GlobalMaxPool BatchNormalization InstanceNormalization GroupNormalization LRN DepthToSpace ' +
    'SpaceToDepth GridSample RoiAlign MaxUnpool'
  ).split(' '),
);
/** Operators that may change the lengths of axes, but not their order. */
const KEEP_AXES = new Set(['Concat', 'Slice', 'Pad', 'Resize', 'Upsample', 'Split', 'Tile', 'Expand']);

/** Layout of every value of four axes it can be told of, from that of the picture that goes into `input`. */
export function layoutsOf(
  model: Model,
  facts: ReadonlyMap<ValueName, Facts>,
  input: ValueName,
  layout: 'NCHW' | 'NHWC',
): ReadonlyMap<ValueName, Layout> {
  const known = new Map<ValueName, Layout>([[input, layout === 'NCHW' ? 'first' : 'last']]);
  const rank = (value: ValueName) => facts.get(value)?.dims?.length;
  const producers = new Map(model.graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const shape = (value: ValueName) => facts.get(value)?.dims?.join();
  /** A map that is taken apart and put together again, as by group norms and windows, has the layout it had. */
  const before = (node: Node) => {
    let value: ValueName | undefined = node.inputs[0];
    for (let step = 0; step < 16 && value !== undefined; step++) {
      if (known.has(value) && shape(value) === shape(node.outputs[0]!)) return known.get(value);
      value = producers.get(value)?.inputs[0];
    }
    return undefined;
  };
  for (const node of model.graph.nodes) {
    const layout = layoutAfter(node, known, facts) ?? (node.operator === 'Reshape' ? before(node) : undefined);
    if (layout !== undefined) for (const output of node.outputs) if (rank(output) === 4) known.set(output, layout);
  }
  return known;
}

function layoutAfter(node: Node, known: ReadonlyMap<ValueName, Layout>, facts: ReadonlyMap<ValueName, Facts>): Layout {
  if (SPATIAL.has(node.operator)) return 'first';
  const dims = (value: ValueName | undefined) => (value === undefined ? undefined : facts.get(value)?.dims);
  const [input, output] = [node.inputs[0]!, node.outputs[0]!];
  const before = known.get(input);
  if (node.operator === 'Transpose') return transposed(node, before);
  if (KEEP_AXES.has(node.operator)) return node.inputs.map((name) => known.get(name)).find((layout) => layout);
  if (node.operator === 'MatMul')
    return dims(input)?.length === 4 && dims(node.inputs[1])?.length === 2 ? 'last' : undefined;
  if (node.operator === 'Reshape') {
    // Tokens [1, L, C] laid out as [1, H, W, C], or a map flattened and unflattened.
    const [from, to] = [dims(input), dims(output)];
    const unfolded = from?.length === 3 && to?.length === 4 && from[0] === to[0] && from[2] === to[3];
    return unfolded && Number(to[1]) * Number(to[2]) === Number(from[1]) ? 'last' : undefined;
  }
  const shape = dims(output)?.join();
  for (const name of node.inputs)
    if (known.get(name) !== undefined && dims(name)?.join() === shape) return known.get(name);
  return undefined;
}

function transposed({ attributes }: Node, before: Layout): Layout {
  const perm = attributes['perm'];
  const order = perm?.kind === 'ints' ? perm.value.map(Number).join() : '';
  if (order === '0,2,3,1') return before === 'first' ? 'last' : undefined;
  if (order === '0,3,1,2') return before === 'last' ? 'first' : undefined;
  return order === '0,1,2,3' || order === '0,1,3,2' || order === '0,2,1,3' ? before : undefined;
}
