/**
 * A model cut at its stream: one program from each value of the stream to the next. A row that is changed in layer k starts
 * from what is known before k, so nothing above a change is computed twice; weights are loaded once, since each segment
 * has its own; and what stands before the answer, the last segment, read from any layer, is the logit lens.
 */
import { GraphBuilder, inferGraph, opsetOf, pruneModel, valuesRead } from '../../onnx/index.ts';
import type { Model, Node, ValueName } from '../../onnx/index.ts';
import { hasNoRows, repeatRows } from '../../programs/index.ts';
import { appendEdit, part } from './edits.ts';
import type { Edit } from './edits.ts';

/** A value to be read out beside the stream. */
export interface Captured {
  readonly value: ValueName;
  /** For a value of heads: their number, by which a joined axis of batch and heads is parted. */
  readonly heads: number | null;
}

/** Everything a segment's program depends on beside the model. */
export interface SegmentRequest {
  readonly kind: 'segment';
  /** The value of the stream it starts from; undefined: from the model's inputs. */
  readonly from: ValueName | undefined;
  /** The value it ends with: of the stream, or the answer. */
  readonly to: ValueName;
  /** Values of other streams, given instead of computed. */
  readonly sides: readonly ValueName[];
  readonly edits: readonly Edit[];
  readonly capture: readonly Captured[];
  /** Whether `to` is the answer: a target's value is computed of it. */
  readonly answer: boolean;
}

/** Names of what a segment takes and gives. */
export const SEGMENT = {
  /** The stream before it, [rows, positions, hidden]. */
  from: 'onnxray/from',
  /** The stream after it, or the answer, [rows, ...]. */
  to: 'onnxray/to',
  /** A value of another stream, [1, ...]. */
  side: (value: ValueName) => `onnxray/side/${value}`,
  captured: (value: ValueName) => `onnxray/captured/${value}`,
  /** Weights of the answer's elements, [1, ...]. */
  target: 'onnxray/target',
  /** Their weighted sum in each row, [rows]. */
  values: 'onnxray/values',
} as const;

/** Compiles a segment. Inputs of the model have a batch of 1 and are repeated for the rows. */
export function compileSegment(given: Model, request: SegmentRequest): Model {
  const { from, to, sides, edits, capture } = request;
  const model = from === undefined ? given : sameShapes(given, from);
  const { graph } = model;
  const wanted = [to, ...capture.map(({ value }) => value)];
  const known = new Set([...(from === undefined ? [] : [from]), ...sides]);
  const nodes = nodesTo(graph.nodes, wanted, known);
  const b = new GraphBuilder({
    ...model,
    graph: { ...graph, nodes: [], outputs: [], inputs: [], valueInfos: new Map() },
  });
  b.reserve(graph.nodes);
  const facts = inferGraph(given.graph, opsetOf(given));
  const read = new Set(nodes.flatMap(valuesRead));
  const renamed = new Map<ValueName, ValueName>();
  let rows: ValueName | undefined;
  if (from !== undefined) {
    const { type, dims } = facts.get(from) ?? { type: 'float32', dims: undefined };
    const ofRows = dims?.map((dim, axis) => (axis === 0 ? 'rows' : publicDim(dim)));
    const input = b.addInput({ name: SEGMENT.from, type, dims: ofRows });
    rows = b.dimension(input, 0);
    renamed.set(from, input);
  }
  for (const info of graph.inputs) {
    if (!read.has(info.name) || info.name === from) continue;
    const single = hasNoRows(info.type, info.dims?.length ?? 0);
    b.addInput(rows === undefined || single ? info : { ...info, dims: info.dims && [1, ...info.dims.slice(1)] });
    if (rows !== undefined) renamed.set(info.name, repeatRows(b, info.name, rows));
  }
  for (const side of sides) {
    if (!read.has(side)) continue;
    const { type, dims } = facts.get(side) ?? { type: 'float32', dims: undefined };
    const ofOne = dims?.map((dim, axis) => (axis === 0 ? 1 : publicDim(dim)));
    const input = b.addInput({ name: SEGMENT.side(side), type, dims: ofOne });
    renamed.set(side, rows === undefined ? input : repeatRows(b, input, rows));
  }
  const now = (name: ValueName) => renamed.get(name) ?? name;
  const captured = new Map<ValueName, ValueName>();
  for (const node of nodes) {
    b.push({ ...node, inputs: node.inputs.map(now) });
    for (const name of node.outputs) {
      for (const edit of edits) if (edit.value === name) renamed.set(name, appendEdit(b, edit, now(name)));
      for (const { value, heads } of capture)
        if (value === name) {
          const current = now(name);
          captured.set(name, heads !== null && b.rank(current) === 3 ? part(b, current, heads) : current);
        }
    }
  }
  const end = now(to);
  b.addOutput(end, SEGMENT.to);
  for (const [name, value] of captured) b.addOutput(value, SEGMENT.captured(name));
  if (request.answer) {
    const dims = b.dims(end);
    const target = b.addInput({ name: SEGMENT.target, type: 'float32', dims: dims && [1, ...dims.slice(1).map(free)] });
    const axes = Array.from({ length: b.rank(end) - 1 }, (_, axis) => axis + 1);
    b.addOutput(b.sum(b.mul(b.cast(end, 'float32'), target), axes, false), SEGMENT.values);
  }
  return pruneModel(b.build());
}

const publicDim = (dim: number | string | undefined) => (typeof dim === 'string' && /[?(]/.test(dim) ? undefined : dim);
/** The target may be given for one position of an answer that has many. */
const free = (dim: number | string | undefined, axis: number) => (typeof dim === 'number' ? dim : `target ${axis}`);

/** The nodes that `wanted` values depend on, in order, without what makes the `given` ones. */
function nodesTo(nodes: readonly Node[], wanted: readonly ValueName[], given: ReadonlySet<ValueName>): Node[] {
  const needed = new Set(wanted.filter((name) => !given.has(name)));
  const kept: Node[] = [];
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    kept.push(node);
    for (const name of valuesRead(node)) if (!given.has(name)) needed.add(name);
  }
  return kept.toReversed();
}

/**
 * Shapes are read off whatever stood near when the model was exported, the first layer's input for all layers: where the
 * stream's value has the same shape, off that, so that a segment need not compute the layers before it.
 */
function sameShapes(model: Model, from: ValueName): Model {
  const facts = inferGraph(model.graph, opsetOf(model));
  const shape = facts.get(from)?.dims?.join();
  if (shape === undefined) return model;
  const nodes = model.graph.nodes.map((node) =>
    node.operator === 'Shape' && facts.get(node.inputs[0]!)?.dims?.join() === shape
      ? { ...node, inputs: [from, ...node.inputs.slice(1)] }
      : node,
  );
  return { ...model, graph: { ...model.graph, nodes } };
}
