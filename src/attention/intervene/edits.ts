/** Interventions as nodes: what is changed, in which rows, is an input of the program. */
import type { GraphBuilder, ValueName } from '../../onnx/index.ts';

/** A place in a segment that can be changed. Plain data: programs are cached by it. */
export interface Edit {
  readonly site:
    /** A block's heads (its context, [batch, heads, queries, size]): taken from a donor. */
    | 'heads'
    /** A block's probabilities, [batch, heads, queries, keys]: taken from a donor, head by head. */
    | 'pattern'
    /** The same spread evenly over the keys that are not masked. */
    | 'uniform'
    /** The same with edges weighted, and rows scaled to sum to 1 again or not. */
    | 'edges'
    /** What a branch adds to the stream, [batch, positions, hidden]: taken from a donor, position by position. */
    | 'branch';
  readonly value: ValueName;
  /** Heads of the block; for `branch`, 1. */
  readonly heads: number;
}

/** Names of what an edited segment takes, by the value that is changed. */
export const EDIT = {
  /** Which heads of each row are changed: bool [rows, heads]. */
  heads: (site: Edit['site'], value: ValueName) => `onnxray/${site}/${value}`,
  /** Which positions of each row are changed: bool [rows, positions]. */
  positions: (value: ValueName) => `onnxray/positions/${value}`,
  /** What stands in the place of what is changed: as the value, of one row; any axis may be 1. */
  donor: (value: ValueName) => `onnxray/donor/${value}`,
  /** Weight of each edge: float32 [rows, heads, queries, keys]. */
  edges: (value: ValueName) => `onnxray/edges/${value}`,
  /** 1: rows of changed probabilities sum to 1 again; 0: what is cut is gone. */
  renormalize: 'onnxray/renormalize',
} as const;

/** Appends one edit; gives the value that stands in for `value` from here on. */
export function appendEdit(b: GraphBuilder, { site, value, heads }: Edit, current: ValueName): ValueName {
  if (site === 'branch') {
    const positions = b.addInput({ name: EDIT.positions(value), type: 'bool', dims: ['rows', 'positions'] });
    return b.op('Where', [b.unsqueeze(positions, [2]), donorOf(b, value, current, 3), current], {}, dimsOf(b, current));
  }
  return editHeads(b, { site, value, heads }, current);
}

/**
 * The axis before the queries may be heads, or batch and heads in one; the batch may hold windows of each row. For the edit
 * it is [rows, windows, heads, ...].
 */
function editHeads(b: GraphBuilder, { site, value, heads }: Edit, current: ValueName): ValueName {
  const [name, type] =
    site === 'edges' ? [EDIT.edges(value), 'float32' as const] : [EDIT.heads(site, value), 'bool' as const];
  const chosen = b.addInput({
    name,
    type,
    dims: site === 'edges' ? ['rows', heads, 'edge queries', 'edge keys'] : ['rows', heads],
  });
  const rank = b.rank(current);
  const rest = [b.dimension(current, rank - 2), b.dimension(current, rank - 1)];
  const parted = b.reshape(current, b.concat([b.dimension(chosen, 0), b.int64s([-1, heads]), ...rest], 0), [
    'rows',
    undefined,
    heads,
    ...(b.dims(current)?.slice(-2) ?? [undefined, undefined]),
  ]);
  const edited = editParted(b, { site, value, heads }, parted, b.unsqueeze(chosen, site === 'edges' ? [1] : [1, 3, 4]));
  return b.reshape(edited, b.shape(current), b.dims(current));
}

function editParted(b: GraphBuilder, { site, value }: Edit, current: ValueName, chosen: ValueName): ValueName {
  if (site === 'edges')
    return renormalized(b, b.op('Mul', [current, b.cast(chosen, b.type(current))], {}, dimsOf(b, current)));
  const other = site === 'uniform' ? uniform(b, current) : b.unsqueeze(donorOf(b, value, current, 4), [0]);
  return b.op('Where', [chosen, other, current], {}, dimsOf(b, current));
}

/** 1 / n on the n keys whose probability is not exactly 0: a mask makes it exactly 0 in single precision. */
function uniform(b: GraphBuilder, probabilities: ValueName): ValueName {
  const seen = b.cast(b.greater(probabilities, b.scalar(0, probabilities)), b.type(probabilities));
  return b.div(seen, b.sum(seen, [4]));
}

/** Rows divided by their sums where asked; a row that lost everything stays zero. */
function renormalized(b: GraphBuilder, kept: ValueName): ValueName {
  const wanted = b.facts(EDIT.renormalize)
    ? EDIT.renormalize
    : b.addInput({ name: EDIT.renormalize, type: 'float32', dims: [] });
  const total = b.sum(kept, [4]);
  const [one, zero] = [b.scalar(1, kept), b.scalar(0, kept)];
  const asked = b.op('Add', [one, b.mul(b.cast(wanted, b.type(kept)), b.sub(total, one))]);
  return b.op('Div', [kept, b.where(b.greater(total, zero), asked, one)], {}, dimsOf(b, kept));
}

function donorOf(b: GraphBuilder, value: ValueName, current: ValueName, rank: number): ValueName {
  const dims = Array.from({ length: rank }, (_, axis) => `donor ${axis} of ${value}`);
  return b.addInput({ name: EDIT.donor(value), type: b.type(current), dims });
}

/** [batch * heads, ...] to [batch, heads, ...]. */
export function part(b: GraphBuilder, value: ValueName, heads: number): ValueName {
  const rest = [b.dimension(value, 1), b.dimension(value, 2)];
  return b.reshape(value, b.concat([b.int64s([-1, heads]), ...rest], 0), [
    undefined,
    heads,
    ...(b.dims(value)?.slice(1) ?? [undefined, undefined]),
  ]);
}

const dimsOf = (b: GraphBuilder, value: ValueName) => ({ dims: b.dims(value) });
