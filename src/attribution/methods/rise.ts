import { UsageError } from '../../onnx/index.ts';
import { seededRandom } from '../../inputs/core.ts';
import { defineMethod } from '../../programs/index.ts';
import { addMask, drawMask, enlargeMask, sumOfMasks } from './grid-masks.ts';
import type { MaskSums } from './grid-masks.ts';
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
    const grid = { height: plane.height, width: plane.width, cells: cells!, keep: keep! };
    const sums: MaskSums = new Map();
    for (let done = 0; done < n_masks!; done += CHUNK) {
      const masks = Array.from({ length: Math.min(CHUNK, n_masks! - done) }, () => drawMask(grid, random));
      const { values } = await runner.run(
        { weights: masks.map(() => 1), masks: (row) => enlargeMask(grid, masks[row]!).subarray(0, length) },
        target,
        { part: { done, total: n_masks! } },
      );
      masks.forEach((mask, row) => addMask(sums, mask, values[row]! / (n_masks! * keep!)));
    }
    const whole = await runner.run({ weights: [1] }, target, { quietly: true });
    return {
      scores: spreadPositions(context, plane, sumOfMasks(grid, sums)),
      value: whole.values[0]!,
      baselineValue: null,
      sumsTo: null,
      found: { seed: context.seed },
    };
  },
});
