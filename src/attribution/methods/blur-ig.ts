import { UserError, sizeOf } from '../../onnx/index.ts';
import type { AttributionContext, Numbers } from '../../programs/index.ts';
import { defineMethod } from '../../programs/index.ts';
import { onlyElements } from './only-elements.ts';

/**
 * Integrated gradients from a blurred picture to the sharp one: sum over steps of gradient times change as the blur goes
 * away, without a baseline. Each step's gradient is taken half-way, so that the scores sum to value - the blurred
 * picture's value up to the steps' error. Edges are mirrored. The blur is Lindeberg's discrete Gaussian, whose blurs add up
 * exactly: however many steps there are, the last picture is the same. (A sampled Gaussian of less than half a pixel, as
 * between two of many steps, does not blur at all.)
 * Known flaw: shows at which scale something is decided only if the scores are looked at step by step.
 * Xu, Venugopalan & Sundararajan 2020, https://arxiv.org/abs/2004.03383. Cost: `steps` forward and backward passes.
 */
export const blurIg = defineMethod({
  name: 'blur-ig',
  summary: 'gradients integrated from a blurred picture to the sharp one',
  options: {
    steps: { kind: 'integer', default: 50, min: 1, help: 'steps of the blur' },
    max_sigma: { kind: 'number', default: 50, above: 0, help: 'standard deviation of the strongest blur, in pixels' },
  },
  usesBaseline: false,
  layers: 'none',
  async attribute(context, { steps, max_sigma }) {
    const { input, dims, end } = onlyElements(context, 'blur-ig');
    const axes = spatialAxes(context, dims);
    const runner = await context.open({ rows: 'points', backward: { reduction: 'times-difference' } });
    const target = await context.target(runner);
    const count = steps!;
    const blurred = blurs(end, axes, max_sigma! / (2 * count));
    const { scores, values } = await runner.run(
      {
        weights: [...Array<number>(count).fill(1), 0, 0],
        points: (row) => (row < count ? blurred(2 * row + 1) : row === count ? blurred(2 * count) : end),
        differences: (row) => (row < count ? difference(blurred(2 * row), blurred(2 * row + 2)) : end),
      },
      target,
    );
    const { data } = scores[input]!;
    return {
      scores: { [input]: { dims, data } },
      value: values[count + 1]!,
      baselineValue: values[count]!,
      sumsTo: 'difference',
    };
  },
});

const difference = (left: Numbers, right: Numbers) => Float64Array.from(left, (each, at) => each - right[at]!);

/** Rows of pixels as [outer, length, inner], for one spatial axis. */
interface Axis {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
}

function spatialAxes({ modality }: AttributionContext, dims: readonly number[]): readonly Axis[] {
  if (dims.length !== 4) throw new UserError('blur-ig is for pictures: the input needs four dimensions');
  const axes = modality.kind === 'image' && modality.layout === 'NHWC' ? [1, 2] : [2, 3];
  return axes.map((axis) => ({
    outer: sizeOf(dims.slice(0, axis)),
    length: dims[axis]!,
    inner: sizeOf(dims.slice(axis + 1)),
  }));
}

/**
 * The picture blurred by `unit` times a step's number, made as asked for, each from the one before: variances of blurs add
 * up, so only the difference is needed.
 */
function blurs(picture: Numbers, axes: readonly Axis[], unit: number): (step: number) => Numbers {
  const made: Numbers[] = [picture];
  return (step) => {
    while (made.length <= step) made.push(blur(made.at(-1)!, axes, unit * unit * (2 * made.length - 1)));
    return made[step]!;
  };
}

/** One blur of this variance, in pixels squared, along both axes. */
function blur(values: Numbers, axes: readonly Axis[], variance: number): Float64Array {
  const kernel = discreteGaussian(variance);
  const reach = kernel.length - 1;
  let current = Float64Array.from(values);
  for (const { outer, length, inner } of axes) {
    const next = new Float64Array(current.length);
    const line = new Float64Array(length + 2 * reach);
    for (let block = 0; block < outer; block++)
      for (let index = 0; index < inner; index++) {
        const start = block * length * inner + index;
        for (let at = 0; at < line.length; at++) line[at] = current[start + mirror(at - reach, length) * inner]!;
        for (let at = 0; at < length; at++) {
          let sum = kernel[0]! * line[at + reach]!;
          for (let offset = 1; offset <= reach; offset++)
            sum += kernel[offset]! * (line[at + reach - offset]! + line[at + reach + offset]!);
          next[start + at * inner] = sum;
        }
      }
    current = next;
  }
  return current;
}

/**
 * exp(-t) I_n(t) for n = 0, 1, ... as far as it counts, I_n the modified Bessel functions, t the variance (Lindeberg 1990,
 * https://doi.org/10.1109/34.49051): by their recurrence downwards (Miller), which is stable, scaled to sum to 1.
 */
function discreteGaussian(variance: number): Float64Array {
  const reach = Math.ceil(5 * Math.sqrt(variance)) + 4;
  const values = new Float64Array(reach + 1);
  let [above, current] = [0, 1e-300];
  for (let n = reach + 20; n >= 0; n--) {
    if (n <= reach) values[n] = current;
    const below = above + ((2 * n) / variance) * current;
    [above, current] = [current, below];
    if (current > 1e200) {
      [above, current] = [above / 1e200, current / 1e200];
      for (let at = 0; at < values.length; at++) values[at]! /= 1e200;
    }
  }
  const total = values.reduce((sum, each, at) => sum + (at === 0 ? each : 2 * each), 0);
  return values.map((each) => each / total);
}

/** ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ... */
function mirror(at: number, length: number): number {
  const period = 2 * length;
  const inside = ((at % period) + period) % period;
  return inside < length ? inside : period - 1 - inside;
}
