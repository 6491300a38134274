import { centresOf, gaussian } from './superpixels.ts';
import type { Plane, Superpixels } from './superpixels.ts';

export interface FelzenszwalbOptions {
  /** Larger ones prefer larger regions. Default 100. */
  readonly scale?: number;
  /** Of the Gaussian that the picture is smoothed with first, in pixels. Default 0.5. */
  readonly sigma?: number;
  /** Smaller regions join a neighbour. Default 50 pixels. */
  readonly minSize?: number;
}

/**
 * Felzenszwalb & Huttenlocher 2004, https://doi.org/10.1023/B:VISI.0000022288.19776.77: edges between neighbours (eight of each
 * pixel), from the least difference of colour up, join two regions where the edge is below the largest within each plus
 * scale / size. Values run from 0 to 1, and `scale` is divided by 255, as in scikit-image.
 * @param picture [channels, height, width].
 */
export function felzenszwalb(
  picture: Float32Array,
  plane: Plane,
  { scale = 100, sigma = 0.5, minSize = 50 }: FelzenszwalbOptions = {},
): Superpixels {
  const { height, width } = plane;
  const area = height * width;
  const values = gaussian(picture, plane, sigma);
  const [from, to, costs] = edges(values, plane);
  const order = Uint32Array.from(costs.keys()).sort((left, right) => costs[left]! - costs[right]! || left - right);
  const parents = Int32Array.from({ length: area }, (_, at) => at);
  const sizes = new Int32Array(area).fill(1);
  const within = new Float64Array(area);
  const rootOf = (pixel: number): number => {
    let root = pixel;
    while (parents[root] !== root) root = parents[root]!;
    for (let at = pixel; parents[at] !== root;) [at, parents[at]] = [parents[at]!, root];
    return root;
  };
  const join = (left: number, right: number): number => {
    const [root, other] = left < right ? [left, right] : [right, left];
    parents[other] = root;
    sizes[root]! += sizes[other]!;
    return root;
  };
  for (const edge of order) {
    const [left, right] = [rootOf(from[edge]!), rootOf(to[edge]!)];
    if (left === right) continue;
    const allowed = (root: number) => within[root]! + scale / 255 / sizes[root]!;
    if (costs[edge]! < Math.min(allowed(left), allowed(right))) within[join(left, right)] = costs[edge]!;
  }
  for (const edge of order) {
    const [left, right] = [rootOf(from[edge]!), rootOf(to[edge]!)];
    if (left !== right && Math.min(sizes[left]!, sizes[right]!) < minSize) join(left, right);
  }
  return centresOf(
    Int32Array.from({ length: area }, (_, pixel) => rootOf(pixel)),
    width,
  );
}

/** Neighbours below, right, below right and above right, with the distance of their colours. */
function edges(
  values: Float64Array,
  { channels, height, width }: Plane,
): readonly [Int32Array, Int32Array, Float64Array] {
  const area = height * width;
  const [from, to, costs]: [number[], number[], number[]] = [[], [], []];
  for (const [down, right] of [
    [1, 0],
    [0, 1],
    [1, 1],
    [1, -1],
  ] as const)
    for (let y = 0; y + down < height; y++)
      for (let x = Math.max(0, -right); x + Math.max(0, right) < width; x++) {
        const at = y * width + x;
        const other = at + down * width + right;
        let square = 0;
        for (let c = 0; c < channels; c++) square += (values[c * area + at]! - values[c * area + other]!) ** 2;
        from.push(at);
        to.push(other);
        costs.push(Math.sqrt(square));
      }
  return [Int32Array.from(from), Int32Array.from(to), Float64Array.from(costs)];
}
