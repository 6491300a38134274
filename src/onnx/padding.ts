/** Padding of convolutions and pools: explicit, and within the operator where it can be. */
import { GraphBuilder } from './builder.ts';
import { isStatic } from './dims.ts';
import { UserError } from './errors.ts';
import type { Graph, Model, Node, ValueName } from './model.ts';
import { ints, intsAttribute, nodeLabel, stringAttribute, withSubgraphs } from './model.ts';
import { pruneModel } from './prune.ts';
import { weightNumbers } from './weight.ts';

const PADDED = new Set(['Conv', 'ConvTranspose', 'MaxPool', 'AveragePool', 'LpPool']);

/** Turns auto_pad into pads: from the kernel alone where the stride is 1, from the input's size otherwise. */
export function explicitPadding(model: Model): Model {
  const isAuto = (node: Node) =>
    PADDED.has(node.operator) &&
    node.domain === '' &&
    (stringAttribute(node, 'auto_pad', 'NOTSET') !== 'NOTSET' || node.attributes['output_shape'] !== undefined);
  const anyAuto = (graph: Graph): boolean =>
    graph.nodes.some((node) => isAuto(node) || subgraphsOf(node).some(anyAuto));
  if (!anyAuto(model.graph)) return model;
  const b = new GraphBuilder({ ...model, graph: { ...model.graph, nodes: [] } });
  const inGraph = (inner: GraphBuilder, { nodes }: Graph) => {
    for (const node of nodes)
      inner.push(
        withSubgraphs(isAuto(node) ? resolvePadding(inner, node) : node, (graph) => {
          if (!anyAuto(graph)) return graph;
          const within = (innermost: GraphBuilder) => {
            inGraph(innermost, graph);
            return graph.outputs.map(({ name }) => name);
          };
          return inner.subgraph(graph.inputs, within, graph);
        }),
      );
  };
  inGraph(b, model.graph);
  return b.build();
}

const subgraphsOf = ({ attributes }: Node): Graph[] =>
  Object.values(attributes).flatMap((attribute) => (attribute.kind === 'graph' ? [attribute.value] : []));

/** A convolution of an input whose size is known only at run time: the padding is computed there, and done before it. */
function paddedBefore(
  b: GraphBuilder,
  node: Node,
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
): Node {
  const { auto_pad: _auto, ...attributes } = node.attributes;
  const x = node.inputs[0]!;
  const one = (value: number) => b.int64s([value]);
  const [small, large]: [ValueName[], ValueName[]] = [[], []];
  kernel.forEach((size, axis) => {
    const [length, stride] = [b.dimension(x, axis + 2), strides[axis]!];
    // max(0, (ceil(length / stride) - 1) stride + span - length)
    const before = b.mul(b.div(b.sub(length, one(1)), one(stride)), one(stride));
    const total = b.op('Max', [b.sub(b.add(before, one(dilations[axis]! * (size - 1) + 1)), length), one(0)]);
    small.push(b.div(total, one(2)));
    large.push(b.sub(total, small.at(-1)!));
  });
  const [begins, ends] = stringAttribute(node, 'auto_pad', '') === 'SAME_UPPER' ? [small, large] : [large, small];
  const none = b.int64s([0, 0]);
  const dims = b.dims(x)?.map((dim, axis) => (axis < 2 ? dim : undefined));
  const padded = b.pad(x, b.concat([none, ...begins, none, ...ends], 0), dims);
  return { ...node, inputs: [padded, ...node.inputs.slice(1)], attributes };
}

function resolvePadding(b: GraphBuilder, node: Node): Node {
  const { auto_pad: _auto, output_shape: _shape, ...attributes } = node.attributes;
  const mode = stringAttribute(node, 'auto_pad', 'NOTSET');
  const x = node.inputs[0]!;
  const dims = b.dims(x);
  const kernel = intsAttribute(node, 'kernel_shape') ?? b.dims(node.inputs[1] ?? '')?.slice(2);
  if ((mode === 'VALID' && !intsAttribute(node, 'output_shape')) || dims === undefined || !isStatic(kernel))
    return mode === 'VALID' ? { ...node, attributes } : node;
  const rank = kernel.length;
  const strides = intsAttribute(node, 'strides') ?? Array<number>(rank).fill(1);
  const dilations = intsAttribute(node, 'dilations') ?? Array<number>(rank).fill(1);
  const given = intsAttribute(node, 'output_shape');
  const extra = intsAttribute(node, 'output_padding') ?? Array<number>(rank).fill(0);
  const totals = kernel.map((size, axis) => {
    const span = dilations[axis]! * (size - 1) + 1;
    const length = dims[axis + 2];
    if (node.operator === 'ConvTranspose') {
      // onnxruntime's kernel pads until the output is strides times the input, and adds nothing where it is shorter.
      if (!given) return Math.max(0, span + extra[axis]! - strides[axis]!);
      return typeof length === 'number'
        ? strides[axis]! * (length - 1) + extra[axis]! + span - given.at(axis - rank)!
        : undefined;
    }
    if (strides[axis] === 1) return span - 1;
    return typeof length === 'number'
      ? Math.max(0, (Math.ceil(length / strides[axis]!) - 1) * strides[axis]! + span - length)
      : undefined;
  });
  if (totals.some((total) => total !== undefined && !Number.isSafeInteger(total)))
    throw new UserError(
      `${node.operator} "${nodeLabel(node)}": its strides, dilations and padding do not fit a kernel of ${rank} axes: export the model anew`,
    );
  if (!isStatic(totals)) return node.operator === 'Conv' ? paddedBefore(b, node, kernel, strides, dilations) : node;
  const small = totals.map((total) => Math.floor(Math.max(0, total) / 2));
  const large = totals.map((total, axis) => Math.max(0, total) - small[axis]!);
  const [begins, ends] = mode === 'SAME_UPPER' ? [small, large] : [large, small];
  const pads = ints([...begins, ...ends]);
  if (totals.every((total) => total >= 0)) return { ...node, attributes: { ...attributes, pads } };
  // An output longer than its windows reach is filled up behind them.
  const output_padding = ints(totals.map((total, axis) => extra[axis]! + Math.max(0, -total)));
  return { ...node, attributes: { ...attributes, pads, output_padding } };
}

/**
 * Moves a Pad of zeros into the convolution that reads it, as exports with uneven padding have it: the padded copy is
 * never made, forward or backward. Values that only the Pad produced are gone from the result.
 */
export function foldPadding(model: Model): Model {
  const { nodes, initializers } = model.graph;
  const pads = new Map<string, { input: string; begins: number[]; ends: number[] }>();
  for (const node of nodes) {
    const folded =
      node.operator === 'Pad' && node.domain === ''
        ? spatialPads(node, (name) => {
            const weight = initializers.get(name);
            return weight === undefined ? undefined : weightNumbers(weight, 16);
          })
        : undefined;
    if (folded !== undefined) pads.set(node.outputs[0]!, folded);
  }
  if (pads.size === 0) return model;
  const changed = nodes.map((node) => {
    const pad = pads.get(node.inputs[0]!);
    if (pad === undefined || node.operator !== 'Conv' || stringAttribute(node, 'auto_pad', 'NOTSET') !== 'NOTSET')
      return node;
    const rank = pad.begins.length;
    const own = intsAttribute(node, 'pads') ?? Array<number>(2 * rank).fill(0);
    const sums = [...pad.begins, ...pad.ends].map((amount, index) => amount + own[index]!);
    return {
      ...node,
      inputs: [pad.input, ...node.inputs.slice(1)],
      attributes: { ...node.attributes, pads: ints(sums) },
    };
  });
  return pruneModel({ ...model, graph: { ...model.graph, nodes: changed } });
}

/** What a Pad adds around the spatial axes, when that is all it does and it adds zeros. */
function spatialPads(node: Node, numbers: (name: string) => number[] | undefined) {
  const [input, padsInput, value, axes] = node.inputs;
  const pads = numbers(padsInput ?? '');
  if (pads === undefined || axes || stringAttribute(node, 'mode', 'constant') !== 'constant') return undefined;
  if (value && numbers(value)?.[0] !== 0) return undefined;
  const rank = pads.length / 2;
  const outer = [pads[0], pads[1], pads[rank], pads[rank + 1]];
  if (rank < 3 || outer.some((pad) => pad !== 0) || pads.some((pad) => pad < 0)) return undefined;
  return { input: input!, begins: pads.slice(2, rank), ends: pads.slice(rank + 2) };
}
