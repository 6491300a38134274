import { seededRandom } from '../../inputs/core.ts';
import { UsageError, sizeOf } from '../../onnx/index.ts';
import type { NamedTensors } from '../../onnx/index.ts';
import { defineMethod } from '../../programs/index.ts';
import type { DetectionAim, RunResult } from '../../programs/index.ts';
import { intersectionOverUnion, proposals } from '../../tasks/core.ts';
import { pictureOf } from './cam/picture.ts';
import { addMask, drawMask, enlargeMask, sumOfMasks } from './grid-masks.ts';
import type { MaskSums } from './grid-masks.ts';

/** Masks made and run at once. */
const CHUNK = 64;

/**
 * D-RISE: RISE for a box (--box). A mask counts as much as the most similar box the detector still finds: intersection over
 * union, times the cosine of their class scores, times objectness, or the best class score where the detector has none; after
 * NMS, where classes are one number, the score of a box of the same class. sum_i s_i M_i / (N p), over the picture.
 * Known flaw: noisy unless there are thousands of masks, and small objects need finer cells.
 * Petsiuk et al. 2021, https://arxiv.org/abs/2006.03204 (5000 masks of 16 x 16). Cost: `n_masks` forward passes.
 */
export const dRise = defineMethod({
  name: 'd-rise',
  summary: 'how well a box is found again under random masks that keep each place (needs --box)',
  options: {
    n_masks: { kind: 'integer', default: 1000, min: 1, help: 'random masks; the paper takes 5000' },
    cells: { kind: 'integer', default: 16, min: 1, help: 'cells of the coarse grid along each side' },
    keep: { kind: 'number', default: 0.5, above: 0, help: 'probability that a cell is kept, below 1' },
  },
  usesBaseline: true,
  layers: 'none',
  async attribute(context, { n_masks, cells, keep }) {
    const { detection } = context;
    if (detection === undefined) throw new UsageError('d-rise explains a box: --box N');
    const { feature, layout, height, width } = pictureOf(context, 'd-rise');
    const { boxes, scores, labels } = detection.form;
    const runner = await context.open({
      rows: 'planes',
      planes: { height, width, layout, stretch: false, alignCorners: false },
      capture: [...new Set([boxes, scores, ...(labels === undefined ? [] : [labels])])],
    });
    const target = await context.target(runner);
    const random = seededRandom(context.seed);
    const grid = { height, width, cells, keep };
    const sums: MaskSums = new Map();
    for (let done = 0; done < n_masks; done += CHUNK) {
      const masks = Array.from({ length: Math.min(CHUNK, n_masks - done) }, () => drawMask(grid, random));
      const points = (row: number) => enlargeMask(grid, masks[row]!).subarray(0, height * width);
      const result = await runner.run({ weights: masks.map(() => 1), masks: points }, target);
      masks.forEach((mask, row) => {
        const similar = similarity(detection, outputsOf(detection, result, row));
        addMask(sums, mask, similar / (n_masks * keep));
      });
    }
    const whole = await runner.run({ weights: [1] }, target, { quietly: true });
    const dims = layout === 'NCHW' ? [1, 1, height, width] : [1, height, width, 1];
    return {
      scores: { [feature.input]: { dims, data: new Float32Array(sumOfMasks(grid, sums)) } },
      value: whole.values[0]!,
      baselineValue: null,
      sumsTo: null,
      found: { seed: context.seed },
    };
  },
});

/** The captured outputs of a row as the detector gives them. */
function outputsOf({ dims, types }: DetectionAim, { captured }: RunResult, row: number): NamedTensors {
  return Object.fromEntries(
    Array.from(captured, ([name, rows]) => {
      const data = rows[row]!;
      const own = dims[name]!;
      // After NMS the number of boxes hangs on the picture.
      const batched = own[0] === 1 && own.length > 1;
      const rest = sizeOf(own.slice(batched ? 2 : 1));
      const shape = batched ? [1, data.length / rest, ...own.slice(2)] : [data.length / rest, ...own.slice(1)];
      return [name, { type: types[name] === 'float64' ? 'float64' : 'float32', dims: shape, data }];
    }),
  );
}

function similarity({ form, found, height, width }: DetectionAim, outputs: NamedTensors): number {
  let best = 0;
  for (const box of proposals(outputs, form, { height, width }, 0, found)) {
    const overlap = intersectionOverUnion(found, box);
    const classes = box.classes.length > 1 ? cosine(found.classes, box.classes) : Number(box.label === found.label);
    // A cosine does not see how sure the detector is. Without objectness the best class score says it: among the thousands
    // of boxes that such a head gives, whatever is hidden, one always lies where the box was.
    const sure = 'objectness' in box.elements ? box.objectness : box.score;
    best = Math.max(best, overlap * classes * sure);
  }
  return best;
}

function cosine(left: readonly number[], right: readonly number[]): number {
  let [product, first, second] = [0, 0, 0];
  left.forEach((value, at) => {
    product += value * right[at]!;
    first += value ** 2;
    second += right[at]! ** 2;
  });
  return product / Math.max(1e-12, Math.sqrt(first * second));
}
