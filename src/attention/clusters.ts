import type { Scores } from '../explanation/index.ts';
import { UserError } from '../onnx/index.ts';
import type { NamedTensors } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { captureAttention } from './capture.ts';
import type { CaptureOptions } from './capture.ts';
import { symmetricEigen } from './jacobi.ts';
import type { AttentionBlock } from './locate.ts';
import { umapPlane } from './umap.ts';

/** How heads are put on a plane: classical scaling, or UMAP. */
export const HEAD_MAPS = ['mds', 'umap'] as const;
export type HeadMap = (typeof HEAD_MAPS)[number];

export interface HeadPlace {
  readonly block: AttentionBlock;
  readonly head: number;
  /** Where the map puts it. */
  readonly x: number;
  readonly y: number;
  readonly cluster: number;
}

export interface HeadClusters {
  readonly heads: readonly HeadPlace[];
  /** Square root of the Jensen-Shannon divergence (nats) between heads, averaged over queries; [heads, heads]. */
  readonly distances: Scores;
  /** Of classical scaling: share of the squared distances that two dimensions hold. */
  readonly explained: number | undefined;
  /** Queries that were compared, and over how many keys. */
  readonly queries: readonly number[];
  readonly keys: number;
}

export interface ClusterOptions extends Pick<CaptureOptions, 'blocks' | 'signal'> {
  /** Clusters to make. Default 4. */
  readonly clusters?: number;
  /** Queries to compare at most, spread evenly. Default 32. */
  readonly queries?: number;
  /** Default mds. */
  readonly map?: HeadMap;
  /** Of UMAP. Default 0. */
  readonly seed?: number;
}

/**
 * How alike heads are, Clark et al. 2019, https://arxiv.org/abs/1906.04341: the Jensen-Shannon divergence between what two
 * heads do with each query, of attention smoothed to .999 a + .001 / n. Its root places heads on a plane by classical scaling
 * or UMAP, and clusters them by Ward's criterion, whatever the map. Compares heads that attend over as many keys. Two forward passes, then time that
 * grows with heads^2 x queries x keys.
 */
export async function headClusters(
  host: ModelHost,
  tensors: NamedTensors,
  { clusters = 4, queries = 32, map = 'mds', seed = 0, blocks, signal }: ClusterOptions = {},
): Promise<HeadClusters> {
  const own = { ...(blocks === undefined ? {} : { blocks }), ...(signal === undefined ? {} : { signal }) };
  const sizes = await captureAttention(host, tensors, { ...own, values: ['size'] });
  const self = sizes.filter(({ block }) => block.kind !== 'cross');
  const [, , length = 0, keys = 0] = self[0]?.values['size']?.data ?? [];
  // Heads of stages or towers with other lengths cannot be compared with these.
  const alike = self.filter(({ values }) => values['size']!.data[2] === length && values['size']!.data[3] === keys);
  const chosen = spread(length, queries);
  const captured = await captureAttention(host, tensors, {
    ...own,
    blocks: alike.map(({ block }) => block.index),
    queries: chosen,
  });
  const rows: { block: AttentionBlock; head: number; data: Float64Array }[] = [];
  for (const { block, values } of captured) {
    const { dims, data } = values['probabilities']!;
    const size = dims[2]! * dims[3]!;
    for (let head = 0; head < dims[1]!; head++)
      rows.push({ block, head, data: smoothed(data.subarray(head * size, (head + 1) * size), dims[3]!) });
  }
  if (rows.length < 2) throw new UserError('there are not two heads to compare');
  const distances = pairDistances(
    rows.map(({ data }) => data),
    chosen.length,
  );
  const { points, explained } =
    map === 'mds'
      ? classicalScaling(distances, rows.length)
      : { points: umapPlane(distances, rows.length, seed), explained: undefined };
  const numbers = wardClusters(distances, rows.length, clusters);
  return {
    heads: rows.map(({ block, head }, at) => ({
      block,
      head,
      x: points[at]![0],
      y: points[at]![1],
      cluster: numbers[at]!,
    })),
    distances: { dims: [rows.length, rows.length], data: Float32Array.from(distances) },
    explained,
    queries: chosen,
    keys,
  };
}

/** At most `count` of 0 to length - 1, evenly. */
function spread(length: number, count: number): number[] {
  if (length <= count) return Array.from({ length }, (_, at) => at);
  return Array.from({ length: count }, (_, at) => Math.round((at * (length - 1)) / Math.max(1, count - 1)));
}

function smoothed(data: ArrayLike<number>, keys: number): Float64Array {
  return Float64Array.from(data, (each) => 0.999 * each + 0.001 / keys);
}

/** sqrt(JS) of each pair, JS = H((p + q) / 2) - (H(p) + H(q)) / 2, averaged over queries. */
function pairDistances(heads: readonly Float64Array[], queries: number): Float64Array {
  const own = heads.map(negativeEntropy);
  const size = heads.length;
  const distances = new Float64Array(size * size);
  for (let i = 0; i < size; i++)
    for (let j = i + 1; j < size; j++) {
      const [p, q] = [heads[i]!, heads[j]!];
      let middle = 0;
      for (let at = 0; at < p.length; at++) {
        const m = (p[at]! + q[at]!) / 2;
        middle += m * Math.log(m);
      }
      const divergence = Math.max(0, (own[i]! + own[j]!) / 2 - middle) / queries;
      distances[i * size + j] = Math.sqrt(divergence);
      distances[j * size + i] = distances[i * size + j]!;
    }
  return distances;
}

function negativeEntropy(p: Float64Array): number {
  let sum = 0;
  for (const each of p) sum += each * Math.log(each);
  return sum;
}

/**
 * Classical multidimensional scaling (Torgerson 1952): points in a plane whose distances come near those given, from the two
 * largest eigenvalues of the centred squared distances.
 */
export function classicalScaling(
  distances: ArrayLike<number>,
  size: number,
): { readonly points: readonly (readonly [number, number])[]; readonly explained: number } {
  const squares = Float64Array.from({ length: size * size }, (_, at) => distances[at]! ** 2);
  const means = Float64Array.from({ length: size }, (_, row) => {
    let sum = 0;
    for (let column = 0; column < size; column++) sum += squares[row * size + column]!;
    return sum / size;
  });
  let whole = 0;
  for (const mean of means) whole += mean / size;
  const centred = squares.map((each, at) => -0.5 * (each - means[Math.floor(at / size)]! - means[at % size]! + whole));
  const { values, vectors } = symmetricEigen(centred, size);
  let total = 0;
  for (const value of values) total += Math.max(0, value);
  const axis = (at: number) => {
    const root = Math.sqrt(Math.max(0, values[at] ?? 0));
    return vectors[at]?.map((each) => each * root) ?? new Float64Array(size);
  };
  const [first, second] = [axis(0), axis(1)];
  const held = Math.max(0, values[0] ?? 0) + Math.max(0, values[1] ?? 0);
  return {
    points: Array.from({ length: size }, (_, at) => [first[at]!, second[at]!] as const),
    explained: total === 0 ? 1 : held / total,
  };
}

/**
 * Hierarchical clustering by Ward's criterion (1963: the merge that adds least to the squared distances within), cut at `count`
 * clusters; numbered by their first member.
 */
export function wardClusters(distances: ArrayLike<number>, size: number, count: number): number[] {
  const between = Float64Array.from({ length: size * size }, (_, at) => distances[at]! ** 2);
  const members = Array.from({ length: size }, (_, at) => [at]);
  const live = new Set(members.keys());
  while (live.size > Math.max(1, count)) {
    let [best, into, from] = [Infinity, -1, -1];
    for (const i of live)
      for (const j of live)
        if (i < j && between[i * size + j]! < best) [best, into, from] = [between[i * size + j]!, i, j];
    const [a, b] = [members[into]!.length, members[from]!.length];
    for (const other of live) {
      if (other === into || other === from) continue;
      const c = members[other]!.length;
      const sum = (a + c) * between[into * size + other]! + (b + c) * between[from * size + other]! - c * best;
      between[into * size + other] = sum / (a + b + c);
      between[other * size + into] = sum / (a + b + c);
    }
    members[into]!.push(...members[from]!);
    live.delete(from);
  }
  const numbers = Array<number>(size).fill(0);
  [...live].forEach((cluster, number) => {
    for (const member of members[cluster]!) numbers[member] = number;
  });
  return numbers;
}
