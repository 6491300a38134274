import { UMAP } from 'umap-js';
import { UserError } from '../onnx/index.ts';
import { seededRandom } from '../inputs/core.ts';

/** Neighbours that a point should stay near, as umap-learn has it. */
const NEIGHBOURS = 15;

/**
 * UMAP, McInnes et al. 2018, https://arxiv.org/abs/1802.03426: points in a plane that keep near what is near by the distances
 * given, [size, size]; 15 neighbours (fewer of fewer points), least distance 0.1. Starts and samples at random, by `seed`.
 * What is far apart in the plane, how dense it is and how large a group is say nothing. Throws a UserError below 4 points.
 */
export function umapPlane(
  distances: ArrayLike<number>,
  size: number,
  seed: number,
): readonly (readonly [number, number])[] {
  if (size < 4) throw new UserError(`UMAP needs at least 4 heads, not ${size}: use map=mds`);
  const neighbours = Math.min(NEIGHBOURS, size - 1);
  const umap = new UMAP({ nComponents: 2, nNeighbors: neighbours, random: seededRandom(seed) });
  const order = Array.from({ length: size }, (_, from) =>
    Array.from({ length: size }, (__, to) => to)
      // A point is its own nearest neighbour, also where others stand on it.
      .sort((a, b) => away(from, a) - away(from, b) || a - b)
      .slice(0, neighbours),
  );
  function away(from: number, to: number): number {
    return from === to ? -1 : distances[from * size + to]!;
  }
  umap.setPrecomputedKNN(
    order,
    order.map((own, from) => own.map((to) => Math.max(0, away(from, to)))),
  );
  return umap.fit(order.map((_, at) => [at])).map(([x, y]) => [x!, y!] as const);
}
