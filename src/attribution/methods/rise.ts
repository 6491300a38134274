import { UsageError } from '../../onnx/index.ts';
import { seededRandom } from '../../inputs/core.ts';
import type { Random } from '../../inputs/core.ts';
import { defineMethod } from '../../programs/index.ts';
import type { Plane } from './plane.ts';
import { openMasked, planeOf, spreadPositions } from './plane.ts';

/** Masks made and run at once. */
const CHUNK = 64;

/**
 * RISE: the mean answer over random soft masks that keep a place, sum_i f(x * M_i) M_i / (N p). For pictures a grid of
 * `cells` x `cells` coin flips is enlarged bilinearly and shifted at random, as in the paper; for texts and vectors each
 * token or element has a coin of its own. Scores are means of the answer, so what matters is how they differ.
 * Known flaw: noisy unless there are thousands of masks. Petsiuk, Das & Saenko 2018, https://arxiv.org/abs/1806.07421.
 * Cost: `n_masks` forward passes.
 */
export const rise = defineMethod({
  name: 'rise',
  summary: 'the mean answer over random masks that keep each place',
  options: {
    n_masks: { kind: 'integer', default: 1000, min: 1, help: 'random masks; the paper takes 4000 to 8000' },
    cells: { kind: 'integer', default: 7, min: 1, help: 'cells of the coarse grid along each side of a picture' },
    keep: { kind: 'number', default: 0.5, above: 0, help: 'probability that a cell is kept, below 1' },
  },
  usesBaseline: true,
  layers: 'none',
  async attribute(context, { n_masks, cells, keep }) {
    if (keep >= 1)
      throw new UsageError(`option keep of rise must be below 1, and is ${keep}: no mask would hide anything`);
    const plane = planeOf(context);
    const runner = await openMasked(context, plane, false);
    const length = runner.groupCount();
    const target = await context.target(runner);
    const random = seededRandom(context.seed);
    const sums = new Float64Array(plane.height * plane.width);
    for (let done = 0; done < n_masks!; done += CHUNK) {
      const masks = Array.from({ length: Math.min(CHUNK, n_masks! - done) }, () =>
        randomMask(plane, cells!, keep!, random),
      );
      const { values } = await runner.run(
        { weights: masks.map(() => 1), masks: (row) => masks[row]!.subarray(0, length) },
        target,
        { part: { done, total: n_masks! } },
      );
      masks.forEach((mask, row) => {
        const value = values[row]!;
        for (let at = 0; at < sums.length; at++) sums[at]! += value * mask[at]!;
      });
    }
    const whole = await runner.run({ weights: [1] }, target, { quietly: true });
    return {
      scores: spreadPositions(
        context,
        plane,
        sums.map((sum) => sum / (n_masks! * keep!)),
      ),
      value: whole.values[0]!,
      baselineValue: null,
      sumsTo: null,
      found: { seed: context.seed },
    };
  },
});

/** A coarse grid of coin flips, enlarged and shifted. The last entry, of what always stays, is 1. */
export function randomMask(
  { height, width }: Pick<Plane, 'height' | 'width'>,
  cells: number,
  keep: number,
  random: Random,
): Float32Array {
  const mask = new Float32Array(height * width + 1).fill(1);
  if (height === 1) {
    for (let at = 0; at < width; at++) mask[at] = random() < keep ? 1 : 0;
    return mask;
  }
  const side = cells + 1;
  const grid = Float32Array.from({ length: side * side }, () => (random() < keep ? 1 : 0));
  const [cellHeight, cellWidth] = [Math.ceil(height / cells), Math.ceil(width / cells)];
  const [top, left] = [Math.floor(random() * cellHeight), Math.floor(random() * cellWidth)];
  // Bilinear, first along the lines of the grid, then between them.
  const lines = new Float64Array(side * width);
  for (let row = 0; row < side; row++)
    for (let x = 0; x < width; x++) {
      const [at, next, share] = between((x + left) / cellWidth, side);
      lines[row * width + x] = (1 - share) * grid[row * side + at]! + share * grid[row * side + next]!;
    }
  for (let y = 0; y < height; y++) {
    const [at, next, share] = between((y + top) / cellHeight, side);
    const [above, below] = [at * width, next * width];
    for (let x = 0; x < width; x++) mask[y * width + x] = (1 - share) * lines[above + x]! + share * lines[below + x]!;
  }
  return mask;
}

/** The grid's two lines around a place, and how far it is to the second. */
function between(place: number, side: number): readonly [number, number, number] {
  const at = Math.min(side - 1, Math.floor(place));
  return [at, Math.min(side - 1, at + 1), place - at];
}
