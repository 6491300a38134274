import { adam, defineMethod } from '../../programs/index.ts';
import type { Numbers } from '../../programs/index.ts';
import type { Plane } from './plane.ts';
import { planeOf, positionGroups, spreadPositions } from './plane.ts';

/** Power of neighbours' differences in the penalty on rough masks. */
const BETA = 3;

/**
 * Meaningful perturbation: the smallest smooth mask that takes the answer away, found by gradient descent (Adam) on
 *   (f(m) - f(b)) / (f(x) - f(b)) + l1 mean(1 - m) + tv mean |m_i - m_neighbour|^3,
 * where m keeps (1) or replaces (0) a place by the baseline. For pictures the mask is a grid of `cells` x `cells`,
 * enlarged bilinearly; for texts and vectors each token or element has a value of its own and no smoothness is asked.
 * A score is 1 - m: how far a place was taken away. A blurred baseline is the paper's.
 * Known flaw: finds a local optimum, which can be an adversarial pattern when the mask is fine.
 * Fong & Vedaldi 2017, https://arxiv.org/abs/1704.03296; without the paper's jitter.
 * Cost: `iterations` forward and backward passes, one after another.
 */
export const meaningfulPerturbation = defineMethod({
  name: 'meaningful-perturbation',
  summary: 'the smallest smooth mask that takes the answer away, found by gradient descent',
  options: {
    iterations: { kind: 'integer', default: 200, min: 1, help: 'steps of the descent' },
    cells: { kind: 'integer', default: 28, min: 2, help: 'of the mask along each side of a picture' },
    learning_rate: { kind: 'number', default: 0.1, above: 0, help: 'of the descent' },
    l1: { kind: 'number', default: 0.2, above: 0, help: 'price of taking everything away' },
    tv: { kind: 'number', default: 0.2, above: 0, help: 'price of rough masks' },
  },
  usesBaseline: true,
  layers: 'none',
  async attribute(context, { iterations, cells, learning_rate, l1, tv }) {
    const plane = planeOf(context);
    const runner = await context.open({
      rows: 'masks',
      groups: positionGroups(context, plane),
      backward: { rules: { set: 'gradient' }, reduction: 'raw' },
    });
    const target = await context.target(runner);
    const size = plane.height * plane.width;
    /** The mask with what always stays, where there is anything of the kind. */
    const withRest = (mask: Float32Array) => {
      if (runner.groupCount() === size) return mask;
      const whole = new Float32Array(size + 1).fill(1);
      whole.set(mask);
      return whole;
    };
    const ends = await runner.run(
      { weights: [1, 1], masks: (row) => withRest(new Float32Array(size).fill(row)) },
      target,
      { quietly: true },
    );
    const [baselineValue, value] = [ends.values[0]!, ends.values[1]!];
    const change = value - baselineValue || 1;
    const grid = plane.height === 1 ? flatGrid(plane.width) : pictureGrid(plane, cells!);
    const mask = new Float64Array(grid.size).fill(0.9);
    const descend = adam(grid.size, learning_rate!);
    for (let step = 0; step < iterations!; step++) {
      const whole = withRest(grid.enlarge(mask));
      const part = { done: step, total: iterations! };
      const { maskGradients } = await runner.run({ weights: [1], masks: () => whole }, target, { part });
      const slope = grid.reduce(maskGradients[0]!.subarray(0, size));
      const rough = grid.roughness(mask);
      descend(
        mask,
        slope.map((each, at) => each / change - l1! / grid.size + tv! * rough[at]!),
      );
      for (let at = 0; at < mask.length; at++) mask[at] = Math.min(1, Math.max(0, mask[at]!));
    }
    const scores = grid.enlarge(mask).map((kept) => 1 - kept);
    const left = (
      await runner.run({ weights: [1], masks: () => withRest(grid.enlarge(mask)) }, target, { quietly: true })
    ).values[0]!;
    return {
      scores: spreadPositions(context, plane, Float64Array.from(scores)),
      value,
      baselineValue,
      sumsTo: null,
      found: { maskedValue: left },
    };
  },
});

/** A mask of few numbers, and the mask of all positions it stands for. */
interface Grid {
  readonly size: number;
  enlarge(mask: Float64Array): Float32Array;
  /** The gradient of the few from the gradient of all. */
  reduce(gradient: Numbers): Float64Array;
  /** The gradient of the mean of neighbours' differences to the power of BETA. */
  roughness(mask: Float64Array): Float64Array;
}

function flatGrid(size: number): Grid {
  return {
    size,
    enlarge: (mask) => Float32Array.from(mask),
    reduce: (gradient) => Float64Array.from(gradient),
    roughness: () => new Float64Array(size),
  };
}

function pictureGrid({ height, width }: Plane, cells: number): Grid {
  const [rows, columns] = [Math.min(cells, height), Math.min(cells, width)];
  const corners = (y: number, x: number) => {
    const [v, u] = [(y * (rows - 1)) / Math.max(1, height - 1), (x * (columns - 1)) / Math.max(1, width - 1)];
    const [top, left] = [Math.min(rows - 1, Math.floor(v)), Math.min(columns - 1, Math.floor(u))];
    const [bottom, right] = [Math.min(rows - 1, top + 1), Math.min(columns - 1, left + 1)];
    const [down, across] = [v - top, u - left];
    return [
      [top * columns + left, (1 - down) * (1 - across)],
      [top * columns + right, (1 - down) * across],
      [bottom * columns + left, down * (1 - across)],
      [bottom * columns + right, down * across],
    ] as const;
  };
  const places = Array.from({ length: height * width }, (_, at) => corners(Math.floor(at / width), at % width));
  return {
    size: rows * columns,
    enlarge: (mask) =>
      Float32Array.from(places, (four) => four.reduce((sum, [cell, share]) => sum + share * mask[cell]!, 0)),
    reduce(gradient) {
      const result = new Float64Array(rows * columns);
      places.forEach((four, at) => {
        for (const [cell, share] of four) result[cell]! += share * gradient[at]!;
      });
      return result;
    },
    roughness(mask) {
      const sum = new Float64Array(mask.length);
      const neighbours = (cell: number, other: number) => {
        const step = mask[cell]! - mask[other]!;
        const slope = (BETA * Math.sign(step) * Math.abs(step) ** (BETA - 1)) / mask.length;
        sum[cell]! += slope;
        sum[other]! -= slope;
      };
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < columns; column++) {
          if (column + 1 < columns) neighbours(row * columns + column, row * columns + column + 1);
          if (row + 1 < rows) neighbours(row * columns + column, (row + 1) * columns + column);
        }
      return sum;
    },
  };
}
