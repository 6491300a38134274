/** What the rows of a run are, and the tensors that say so to an edited segment. */
import { numbersToData, sizeOf } from '../../onnx/index.ts';
import type { DataType, DenseTensor, ValueName } from '../../onnx/index.ts';
import type { AttentionBlock } from '../locate.ts';
import { EDIT } from './edits.ts';
import type { Edit } from './edits.ts';
import type { BlockSites } from './stream.ts';

/** One thing changed in a row. Blocks are numbered as `locateAttention` does. */
export type Change =
  /** Heads replaced by the donor's, by `uniform` attention, or only their probabilities by the donor's. */
  | {
      readonly site: 'heads' | 'pattern' | 'uniform';
      readonly block: number;
      readonly heads: readonly number[] | 'all';
    }
  /** What attention or MLP adds to the stream, replaced by the donor's at some positions. */
  | {
      readonly site: 'attention' | 'mlp';
      readonly block: number;
      readonly positions: readonly number[] | 'all';
    }
  /** Probabilities of edges from a query to a key set to zero. */
  | {
      readonly site: 'edges';
      readonly block: number;
      readonly heads: readonly number[] | 'all';
      /** `all` queries, or one. */
      readonly query: number | 'all';
      readonly keys: readonly number[];
      /** A query's edge to its own position stays. Default false. */
      readonly spareSelf?: boolean;
    };

/** One intervention: a row of a batch. */
export interface Row {
  /** Index of the segment it starts from; before it everything is as in the base run. */
  readonly at: number;
  /** Positions of the stream before that segment that are the donor's. */
  readonly positions?: readonly number[];
  readonly changes?: readonly Change[];
  /** Segments passed over: the stream after them is the stream before. */
  readonly skip?: readonly number[];
}

/** What stands in for what is taken out: a value's tensor with a first axis of 1; zeros where it gives nothing. */
export type Donor = (value: ValueName) => DenseTensor | undefined;

export interface Edited {
  readonly edits: readonly Edit[];
  readonly feeds: Readonly<Record<string, DenseTensor>>;
}

const SITES = ['heads', 'pattern', 'uniform', 'edges', 'attention', 'mlp'] as const;

/** The edits that some rows ask for in some blocks, and what the segment is fed for them. */
export function editsOf(
  rows: readonly Row[],
  blocks: readonly BlockSites[],
  located: readonly AttentionBlock[],
  donor: Donor,
  sizes: {
    readonly queries: number;
    readonly keys: (block: AttentionBlock) => number;
    readonly positions: number;
    readonly typeOf: (value: ValueName) => DataType;
  },
): Edited {
  const edits: Edit[] = [];
  const feeds: Record<string, DenseTensor> = {};
  for (const sites of blocks)
    for (const site of SITES) {
      const byRow = rows.map(({ changes = [] }) =>
        changes.filter((change) => change.block === sites.block && change.site === site),
      );
      if (byRow.every((changes) => changes.length === 0)) continue;
      const block = located[sites.block]!;
      const edit = editAt(site, block, sites);
      edits.push(edit);
      if (site === 'edges') {
        const dims = [rows.length, edit.heads, sizes.queries, sizes.keys(block)];
        feeds[EDIT.edges(edit.value)] = edgeWeights(byRow, dims);
        continue;
      }
      const branch = edit.site === 'branch';
      const width = branch ? sizes.positions : edit.heads;
      const name = branch ? EDIT.positions(edit.value) : EDIT.heads(edit.site, edit.value);
      feeds[name] = chosen(byRow, width);
      if (site !== 'uniform')
        feeds[EDIT.donor(edit.value)] = donor(edit.value) ?? nothing(branch ? 3 : 4, sizes.typeOf(edit.value));
    }
  return { edits, feeds };
}

function editAt(site: Change['site'], block: AttentionBlock, sites: BlockSites): Edit {
  const heads = block.heads ?? 1;
  if (site === 'attention' || site === 'mlp') return { site: 'branch', value: sites[site]!, heads: 1 };
  return { site, value: site === 'heads' ? block.context : block.probabilities, heads };
}

function chosen(byRow: readonly (readonly Change[])[], width: number): DenseTensor {
  const data = new Uint8Array(byRow.length * width);
  byRow.forEach((changes, row) => {
    for (const change of changes) {
      const places = 'positions' in change ? change.positions : change.heads;
      if (places === 'all') data.fill(1, row * width, (row + 1) * width);
      else for (const place of places) data[row * width + place] = 1;
    }
  });
  return { type: 'bool', dims: [byRow.length, width], data };
}

function edgeWeights(byRow: readonly (readonly Change[])[], dims: readonly number[]): DenseTensor {
  const data = new Float32Array(sizeOf(dims)).fill(1);
  const [, heads, queries, keys] = dims as [number, number, number, number];
  byRow.forEach((changes, row) => {
    for (const change of changes) {
      if (change.site !== 'edges') continue;
      const chosenHeads = change.heads === 'all' ? Array.from({ length: heads }, (_, head) => head) : change.heads;
      const [first, last] = change.query === 'all' ? [0, queries - 1] : [change.query, change.query];
      for (const head of chosenHeads)
        for (let query = first; query <= last; query++)
          for (const key of change.keys)
            if (!(change.spareSelf && query === key)) data[((row * heads + head) * queries + query) * keys + key] = 0;
    }
  });
  return { type: 'float32', dims, data };
}

const nothing = (rank: number, type: DataType): DenseTensor => ({
  type,
  dims: Array<number>(rank).fill(1),
  data: numbersToData(type, [0]),
});

type TypedArray = Exclude<DenseTensor['data'], readonly string[]>;

/** An uninitialised (zero) tensor of the type of another. */
export function blank(like: DenseTensor, dims: readonly number[]): DenseTensor {
  const { constructor } = like.data as TypedArray;
  return { type: like.type, dims, data: new (constructor as new (length: number) => TypedArray)(sizeOf(dims)) };
}

/** Copies `length` elements from one tensor to another of the same type. */
export function copyElements(from: DenseTensor, start: number, length: number, to: DenseTensor, at: number): void {
  (to.data as Float32Array).set((from.data as Float32Array).subarray(start, start + length), at);
}

/** One index of an axis, kept as an axis of 1. */
export function sliceAt(tensor: DenseTensor, axis: number, index: number): DenseTensor {
  const { dims } = tensor;
  const inner = sizeOf(dims.slice(axis + 1));
  const outer = sizeOf(dims.slice(0, axis));
  const result = blank(
    tensor,
    dims.map((dim, at) => (at === axis ? 1 : dim)),
  );
  for (let block = 0; block < outer; block++)
    copyElements(tensor, (block * dims[axis]! + index) * inner, inner, result, block * inner);
  return result;
}

/** Tensors with a first axis of 1 or more, one below the other. */
export function stacked(tensors: readonly DenseTensor[]): DenseTensor {
  const first = tensors[0]!;
  const rows = tensors.reduce((sum, { dims }) => sum + dims[0]!, 0);
  const result = blank(first, [rows, ...first.dims.slice(1)]);
  let at = 0;
  for (const tensor of tensors) {
    copyElements(tensor, 0, tensor.data.length, result, at);
    at += tensor.data.length;
  }
  return result;
}
