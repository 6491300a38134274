/** Sequences of tensors whose make-up is known: what reads an element of one reads the tensor itself. */
import { GraphBuilder } from './builder.ts';
import { positiveAxis } from './dims.ts';
import type { Model, Node, ValueName } from './model.ts';
import { int, intAttribute, nodeLabel } from './model.ts';
import { pruneModel } from './prune.ts';
import { renameValues } from './rename.ts';

type Sequence = readonly ValueName[];

/** How a node makes a sequence of others; undefined where its length or place is not known. */
type Maker = (b: GraphBuilder, node: Node, of: (index: number) => Sequence | undefined) => Sequence | undefined;
/** What a node reads of a known sequence, as the value of its output. */
type Reader = (b: GraphBuilder, node: Node, sequence: Sequence) => ValueName | undefined;

/** The model without the sequences that are known; those a caller gives or gets stay as they are. */
export function resolveSequences(model: Model): Model {
  if (!model.graph.nodes.some(({ operator, domain }) => domain === '' && operator in READERS)) return model;
  const b = new GraphBuilder({ ...model, graph: { ...model.graph, nodes: [] } });
  const known = new Map<ValueName, Sequence>();
  for (const node of model.graph.nodes) {
    const [first] = node.outputs;
    const sequence = known.get(node.inputs[0] ?? '');
    const read = node.domain === '' && sequence ? READERS[node.operator]?.(b, node, sequence) : undefined;
    if (read !== undefined) {
      b.rename(read, first!);
      continue;
    }
    const made =
      node.domain === '' ? MAKERS[node.operator]?.(b, node, (at) => known.get(node.inputs[at] ?? '')) : undefined;
    if (made !== undefined && first) known.set(first, made);
    if (node.operator === 'SequenceMap' && node.domain === '')
      for (const [name, mapped] of mapSequences(b, node, known)) known.set(name, mapped);
    b.push(node);
  }
  return pruneModel(b.build());
}

/** The outputs of a SequenceMap: its body once for each element; none where a sequence it goes over is not known. */
function mapSequences(b: GraphBuilder, node: Node, known: ReadonlyMap<ValueName, Sequence>): [ValueName, Sequence][] {
  const body = node.attributes['body'];
  const length = known.get(node.inputs[0]!)?.length;
  // What is neither a known sequence nor a tensor is a sequence from outside.
  const isKnown = node.inputs.every((name) => known.has(name) || b.facts(name) !== undefined);
  if (body?.kind !== 'graph' || length === undefined || !isKnown) return [];
  const { inputs, initializers, nodes, outputs } = body.value;
  const results = outputs.map((): ValueName[] => []);
  for (let at = 0; at < length; at++) {
    const names = new Map<ValueName, ValueName>([['', '']]);
    inputs.forEach(({ name }, index) => {
      const input = node.inputs[index]!;
      names.set(name, known.get(input)?.[at] ?? input);
    });
    for (const [name, weight] of initializers) names.set(name, b.addWeight(weight));
    for (const each of nodes)
      for (const name of each.outputs)
        if (name !== '') names.set(name, b.unusedName(`${nodeLabel(node)}/${at}/${name}`));
    for (const each of nodes) b.push(renameValues(each, names, `${node.name}/${at}/${each.name}`));
    outputs.forEach(({ name }, index) => results[index]!.push(names.get(name) ?? name));
  }
  return node.outputs.flatMap((name, index) => (name === '' ? [] : [[name, results[index]!]]));
}

/** A constant position in a sequence; the last where none is given. */
function position(b: GraphBuilder, input: ValueName | undefined, length: number, end: number): number | undefined {
  if (!input) return end;
  const at = b.numbers(input)?.[0];
  return at === undefined ? undefined : at < 0 ? at + length : at;
}

const insert: Maker = (b, node, of) => {
  const sequence = of(0);
  const at = sequence && position(b, node.inputs[2], sequence.length, sequence.length);
  return sequence && at !== undefined ? sequence.toSpliced(at, 0, node.inputs[1]!) : undefined;
};

const erase: Maker = (b, node, of) => {
  const sequence = of(0);
  const at = sequence && position(b, node.inputs[1], sequence.length, sequence.length - 1);
  return sequence && at !== undefined ? sequence.toSpliced(at, 1) : undefined;
};

/** Equal pieces of a given length, the last perhaps shorter, or pieces of given lengths; single slices where none are. */
const splitUp: Maker = (b, node) => {
  const [x, split] = [node.inputs[0]!, node.inputs[1]];
  const rank = b.dims(x)?.length;
  if (rank === undefined) return undefined;
  const axis = positiveAxis(intAttribute(node, 'axis', 0), rank);
  const length = b.dims(x)?.[axis];
  const given = split ? b.numbers(split) : [1];
  if (given === undefined) return undefined;
  const vector = split !== undefined && split !== '' && b.rank(split) === 1;
  if (!vector && typeof length !== 'number') return undefined;
  const size = given[0]!;
  const sizes = vector
    ? given
    : Array.from({ length: Math.ceil((length as number) / size) }, (_, at) =>
        Math.min(size, (length as number) - at * size),
      );
  if (sizes.length === 0) return undefined;
  const pieces = b.emit('Split', [x, b.int64s(sizes)], { axis: int(axis) }, { outputs: sizes.length });
  const drop = !split && intAttribute(node, 'keepdims', 1) === 0;
  return drop ? pieces.map((piece) => b.squeeze(piece, [axis])) : pieces;
};

const MAKERS: Readonly<Record<string, Maker | undefined>> = {
  SequenceEmpty: () => [],
  SequenceConstruct: (_, node) => node.inputs,
  SequenceInsert: insert,
  SequenceErase: erase,
  SplitToSequence: splitUp,
  Identity: (_b, _node, of) => of(0),
};

const READERS: Readonly<Record<string, Reader | undefined>> = {
  SequenceAt(b, node, sequence) {
    const at = position(b, node.inputs[1], sequence.length, 0);
    return at === undefined ? undefined : sequence[at];
  },
  SequenceLength: (b, _node, sequence) => b.constant('int64', [], [sequence.length]),
  ConcatFromSequence(b, node, sequence) {
    if (sequence.length === 0) return undefined;
    const apart = intAttribute(node, 'new_axis', 0) === 1;
    const rank = b.rank(sequence[0]!) + (apart ? 1 : 0);
    const axis = positiveAxis(intAttribute(node, 'axis', 0), rank);
    return b.concat(apart ? sequence.map((value) => b.unsqueeze(value, [axis])) : sequence, axis);
  },
};
