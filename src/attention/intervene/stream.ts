/**
 * The residual stream, found in the graph.
 *
 * A value is a cut when every path of floats from the input's embedding to the answer passes through it. Where branches
 * are added to a stream the stream's values, and only they, are cuts: a branch has the stream beside it. So nothing has
 * to be known of names, of where norms stand (before a branch or after the sum), or of whether attention and MLP follow
 * one another or stand side by side. Masks, positions and shapes go around the stream, but do not start at the embedding.
 */
import { UserError, isFloat, valuesCaptured } from '../../onnx/index.ts';
import type { Dim, Model, Node, ValueName } from '../../onnx/index.ts';
import { findFeatures } from '../../programs/index.ts';
import type { Feature } from '../../programs/index.ts';
import type { AttentionBlock } from '../locate.ts';
import type { Tracer } from '../trace.ts';
import { projectedFrom, throughLayout } from '../trace.ts';

/** Where a block's two branches join the stream. */
export interface BlockSites {
  /** Index of the block in `locateAttention`'s list. */
  readonly block: number;
  /** What the attention adds to the stream, [batch, positions, hidden], output bias included; undefined where no sum is found. */
  readonly attention: ValueName | undefined;
  /** What the MLP after it (or beside it) adds. */
  readonly mlp: ValueName | undefined;
}

/** The part of a model between two values of the stream. */
export interface Segment {
  readonly from: ValueName;
  readonly to: ValueName;
  /** Attention blocks within, with what they add; more than one where blocks share their input. */
  readonly blocks: readonly BlockSites[];
}

export interface Stream {
  /** The embedding or input that the stream starts from. */
  readonly source: ValueName;
  /** The model input it belongs to. */
  readonly input: ValueName;
  readonly segments: readonly Segment[];
  /** Values of other streams that this one reads (an encoder's answer): computed once, not per row. */
  readonly sides: readonly ValueName[];
  /** Whether norms stand within the branches (pre-norm), so that the stream is a plain sum. */
  readonly preNorm: boolean;
  /** Dims of the stream's first value. */
  readonly dims: readonly Dim[] | undefined;
}

interface Cut {
  readonly value: ValueName;
  /** Index of the node that makes it; -1 for a model input. */
  readonly at: number;
}

interface Line {
  readonly source: ValueName;
  readonly input: ValueName;
  readonly cuts: readonly Cut[];
}

/**
 * The streams that blocks of attention stand on, in the order of their first blocks: one for most models, the encoder's
 * and the decoder's for both. `output` is the answer that is asked about. Blocks that no stream reaches are left out.
 */
export function findStreams(tracer: Tracer, blocks: readonly AttentionBlock[], output: ValueName): Stream[] {
  const flow = floatFlow(tracer);
  const lines = sourcesOf(tracer.model).map(({ value, input }): Line => ({
    source: value,
    input,
    cuts: cutsBetween(flow, value, output),
  }));
  const placed = blocks.flatMap((block) => {
    const reaches = flow.upstream(block.queries);
    let best: { readonly line: Line; readonly at: number } | undefined;
    for (const line of lines)
      line.cuts.forEach((cut, at) => {
        const better = best === undefined || cut.at > best.line.cuts[best.at]!.at;
        if (reaches.has(cut.value) && better) best = { line, at };
      });
    return best === undefined ? [] : [{ block, ...best }];
  });
  const used = lines.filter((line) => placed.some((each) => each.line === line));
  return used
    .map((line) =>
      streamOf(
        tracer,
        flow,
        line,
        placed.filter((each) => each.line === line),
        placed.filter((each) => each.line !== line).map(({ block }) => block),
        lines,
      ),
    )
    .sort((left, right) => left.segments[0]!.blocks[0]!.block - right.segments[0]!.blocks[0]!.block);
}

/** The embedding of each input that has one, and each input of floats: an encoder's and a decoder's stand side by side. */
function sourcesOf(model: Model): Feature[] {
  return model.graph.inputs.flatMap((info) => {
    try {
      return findFeatures({ ...model, graph: { ...model.graph, inputs: [info] } });
    } catch (error) {
      if (error instanceof UserError) return [];
      throw error;
    }
  });
}

/** The error of everything that needs a stream. */
export function noStream(output: ValueName): UserError {
  return new UserError(
    `no residual stream found: no value that every path from the input to output "${output}" passes through stands before an attention block`,
  );
}

function streamOf(
  tracer: Tracer,
  flow: Flow,
  { source, input, cuts }: Line,
  placed: readonly { readonly block: AttentionBlock; readonly at: number }[],
  foreign: readonly AttentionBlock[],
  lines: readonly Line[],
): Stream {
  const starts = [...new Set(placed.map(({ at }) => at))].sort((left, right) => left - right);
  const isCut = new Map(cuts.map(({ value }, at) => [value, at]));
  const sums = cuts.flatMap(({ value }, at) => {
    const leaves = summands(tracer, value);
    const skip = leaves.find((leaf) => (isCut.get(leaf) ?? at) < at);
    return skip === undefined ? [] : [{ at, branches: leaves.filter((leaf) => leaf !== skip) }];
  });
  const first = placed.find(({ at }) => at === starts[0])!;
  const preNorm = ![...projectedFrom(tracer, first.block.queries)].some(
    (read) => throughLayout(tracer, read) === throughLayout(tracer, cuts[first.at]!.value),
  );
  // A stream that others attend to ends where they read it.
  const readers = foreign
    .map(({ keys }) => flow.upstream(keys))
    .filter((read) => read.has(cuts[starts.at(-1)!]!.value));
  const reach = cuts.filter(({ value }) => readers.every((read) => read.has(value)));
  const end = endOf(
    tracer,
    reach,
    sums.filter(({ at }) => at < reach.length),
    starts.at(-1)!,
    preNorm,
  );
  const ends = [...starts.slice(1), end];
  const segments = starts.map((start, index): Segment => {
    const within = sums.filter(({ at }) => at > start && at <= ends[index]!);
    const own = placed.filter(({ at }) => at === start).map(({ block }) => block);
    const reads = (branch: ValueName, block: AttentionBlock) => flow.upstream(branch).has(block.context);
    // The first sum that knows of a block's context adds its attention; later ones know of it through the stream.
    const attention = own.map((block) =>
      within.flatMap(({ branches }) => branches).find((branch) => reads(branch, block)),
    );
    const mlp = within.flatMap(({ branches }) => branches).find((branch) => !attention.includes(branch));
    return {
      from: cuts[start]!.value,
      to: cuts[ends[index]!]!.value,
      blocks: own.map((block, order) => ({
        block: block.index,
        attention: attention[order],
        mlp: order === own.length - 1 ? mlp : undefined,
      })),
    };
  });
  return {
    source,
    input,
    segments,
    sides: sidesOf(flow, lines, source, cuts[starts[0]!]!, segments.at(-1)!.to),
    preNorm,
    dims: tracer.facts.get(segments[0]!.from)?.dims,
  };
}

/**
 * Where the stream ends: at its last sum, or, where the layers hand on normalised sums, at the norm of that. Norms and
 * heads of a pre-norm model come after it.
 */
function endOf(
  tracer: Tracer,
  cuts: readonly Cut[],
  sums: readonly { readonly at: number }[],
  lastStart: number,
  preNorm: boolean,
): number {
  const last = sums.findLast(({ at }) => at > lastStart)?.at;
  if (last === undefined) return Math.min(lastStart + 1, cuts.length - 1);
  if (preNorm) return last;
  let end = last;
  for (let at = last + 1; at < cuts.length; at++) {
    const node = tracer.producers.get(cuts[at]!.value);
    if (node === undefined || !NORMS.has(node.operator)) break;
    end = at;
  }
  return end;
}

/** What norms are made of. */
const NORMS = new Set(
  'LayerNormalization RMSNormalization InstanceNormalization Sub Div Mul Add Cast Identity Dropout'.split(' '),
);

/** What is added up to a value: the leaves of a tree of sums of values that depend on the input, through casts. */
export function summands(tracer: Tracer, value: ValueName): ValueName[] {
  const node = tracer.producers.get(value);
  if (node === undefined || node.operator !== 'Add' || node.inputs.some((name) => tracer.constants.has(name)))
    return [];
  return node.inputs.flatMap((input) => {
    const inner = (tracer.consumers.get(input)?.length ?? 0) === 1 ? summands(tracer, input) : [];
    return inner.length === 0 ? [input] : inner;
  });
}

/** The latest cuts of other streams that the end of this one reads and that its start does not change. */
function sidesOf(flow: Flow, lines: readonly Line[], source: ValueName, start: Cut, end: ValueName): ValueName[] {
  const read = flow.upstreamAround(end, start.value);
  const changed = flow.downstream(start.value);
  return lines.flatMap((line) => {
    if (line.source === source) return [];
    const usable = line.cuts.findLast(({ value }) => read.has(value) && !changed.has(value) && value !== line.source);
    return usable === undefined ? [] : [usable.value];
  });
}

/** Values that depend on others through floats. */
interface Flow {
  readonly tracer: Tracer;
  upstream(value: ValueName): ReadonlySet<ValueName>;
  /** Those that reach `value` on a way around `without`. */
  upstreamAround(value: ValueName, without: ValueName): ReadonlySet<ValueName>;
  downstream(value: ValueName): ReadonlySet<ValueName>;
  floats(node: Node): readonly ValueName[];
}

function floatFlow(tracer: Tracer): Flow {
  const { nodes } = tracer.model.graph;
  const isFloatValue = (name: ValueName): boolean => isFloat(tracer.facts.get(name)?.type ?? 'float32');
  const floats = (node: Node): readonly ValueName[] =>
    node.operator === 'Shape' || node.operator === 'Size'
      ? []
      : [...node.inputs, ...valuesCaptured(node)].filter((name) => name !== '' && isFloatValue(name));
  const upstreams = new Map<ValueName, ReadonlySet<ValueName>>();
  const upstreamAround = (value: ValueName, without?: ValueName): ReadonlySet<ValueName> => {
    const found = new Set([value]);
    for (const node of nodes.toReversed())
      if (node.outputs.some((name) => found.has(name) && name !== without))
        for (const name of floats(node)) if (name !== without) found.add(name);
    return found;
  };
  const upstream = (value: ValueName): ReadonlySet<ValueName> => {
    const found = upstreams.get(value) ?? upstreamAround(value);
    upstreams.set(value, found);
    return found;
  };
  const downstream = (value: ValueName): ReadonlySet<ValueName> => {
    const found = new Set([value]);
    for (const node of nodes)
      if (floats(node).some((name) => found.has(name)))
        for (const name of node.outputs) if (isFloatValue(name)) found.add(name);
    return found;
  };
  return { tracer, upstream, upstreamAround, downstream, floats };
}

/** In the order of the graph, the values between `source` and `target` that all paths of floats pass through, both included. */
function cutsBetween(flow: Flow, source: ValueName, target: ValueName): Cut[] {
  const { nodes } = flow.tracer.model.graph;
  const [after, before] = [flow.downstream(source), flow.upstream(target)];
  const onPath = (name: ValueName) => name !== '' && after.has(name) && before.has(name);
  if (!onPath(source) || !onPath(target)) return [];
  const lastUse = new Map<ValueName, number>();
  nodes.forEach((node, index) => {
    if (node.outputs.some(onPath)) for (const name of flow.floats(node)) if (onPath(name)) lastUse.set(name, index);
  });
  const start = nodes.findIndex(({ outputs }) => outputs.includes(source));
  const cuts: Cut[] = [{ value: source, at: start }];
  let open = lastUse.get(source) ?? -1;
  nodes.forEach((node, index) => {
    if (index <= start) return;
    const made = node.outputs.filter(onPath);
    if (made.length === 0) return;
    if (made.length === 1 && open <= index) cuts.push({ value: made[0]!, at: index });
    for (const name of made) open = Math.max(open, lastUse.get(name) ?? (name === target ? index : -1));
  });
  return cuts;
}
