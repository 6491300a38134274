/** The random soft masks of RISE: a coarse grid of coin flips, enlarged bilinearly and shifted. */
import type { Random } from '../../inputs/core.ts';

/** Where masks lie, and what they are drawn from. A plane of one line has a coin for each place of its own. */
export interface MaskGrid {
  readonly height: number;
  readonly width: number;
  /** Cells along each side of a picture. */
  readonly cells: number;
  /** Probability that a cell is kept. */
  readonly keep: number;
}

/**
 * A mask before it is enlarged downwards: the lines of its grid, as wide as the plane, and how far they are shifted up. A mask
 * is linear in its lines, so those of masks that are shifted alike can be summed in the place of all their points.
 */
export interface GridMask {
  readonly lines: Float64Array;
  readonly top: number;
}

export function drawMask({ height, width, cells, keep }: MaskGrid, random: Random): GridMask {
  if (height === 1) return { lines: Float64Array.from({ length: width }, () => (random() < keep ? 1 : 0)), top: 0 };
  const side = cells + 1;
  const grid = Float64Array.from({ length: side * side }, () => (random() < keep ? 1 : 0));
  const [cellHeight, cellWidth] = [Math.ceil(height / cells), Math.ceil(width / cells)];
  const [top, left] = [Math.floor(random() * cellHeight), Math.floor(random() * cellWidth)];
  const lines = new Float64Array(side * width);
  for (let x = 0; x < width; x++) {
    const [at, next, share] = between((x + left) / cellWidth, side);
    for (let row = 0; row < side; row++)
      lines[row * width + x] = (1 - share) * grid[row * side + at]! + share * grid[row * side + next]!;
  }
  return { lines, top };
}

/** A number for each place of the plane, row by row, and at the end a 1, of what always stays. */
export function enlargeMask(grid: MaskGrid, { lines, top }: GridMask): Float32Array {
  const { height, width } = grid;
  const points = new Float32Array(height * width + 1);
  for (let y = 0; y < height; y++)
    blend(points.subarray(y * width, (y + 1) * width), lines, linesAt(grid, lines, top, y));
  points[height * width] = 1;
  return points;
}

/** Sums of lines by how far they are shifted. */
export type MaskSums = Map<number, Float64Array>;

/** Adds so much times a mask. */
export function addMask(sums: MaskSums, { lines, top }: GridMask, times: number): void {
  const sum = sums.get(top) ?? new Float64Array(lines.length);
  sums.set(top, sum);
  for (let at = 0; at < sum.length; at++) sum[at]! += times * lines[at]!;
}

/** What the masks added come to at each place of the plane. */
export function sumOfMasks(grid: MaskGrid, sums: MaskSums): Float64Array {
  const { height, width } = grid;
  const points = new Float64Array(height * width);
  for (const [top, lines] of sums)
    for (let y = 0; y < height; y++) {
      const { above, below, share } = linesAt(grid, lines, top, y);
      for (let x = 0; x < width; x++)
        points[y * width + x]! += (1 - share) * lines[above + x]! + share * lines[below + x]!;
    }
  return points;
}

/** Where two lines begin, and how far a place is on the way from the first to the second. */
interface Between {
  readonly above: number;
  readonly below: number;
  readonly share: number;
}

function linesAt({ height, width, cells }: MaskGrid, lines: Float64Array, top: number, y: number): Between {
  const [above, below, share] = between((y + top) / Math.ceil(height / cells), lines.length / width);
  return { above: above * width, below: below * width, share };
}

/** Most of the time it takes to make a mask: by itself, so that it is compiled for these arrays alone. */
function blend(row: Float32Array, lines: Float64Array, { above, below, share }: Between): void {
  const rest = 1 - share;
  for (let x = 0; x < row.length; x++) row[x] = rest * lines[above + x]! + share * lines[below + x]!;
}

/** The grid's two lines around a place, and how far it is to the second. */
function between(place: number, side: number): readonly [number, number, number] {
  const at = Math.min(side - 1, Math.floor(place));
  return [at, Math.min(side - 1, at + 1), place - at];
}
