import { UserError } from '../../onnx/index.ts';
import type { AttributionContext, Numbers } from '../../programs/index.ts';
import { defineMethod, numbers } from '../../programs/index.ts';

/** The one floating-point input of a method that walks through input space, and its baseline. */
function onlyElements({ features, inputs, baseline }: AttributionContext, method: string) {
  const [feature, ...others] = features;
  if (feature === undefined || others.length > 0 || feature.kind !== 'elements')
    throw new UserError(`${method} is for models of one floating-point input, such as a picture`);
  const tensor = inputs[feature.input]!;
  const end = numbers(tensor);
  const start = baseline === 'zero' ? new Float64Array(end.length) : numbers(baseline[feature.input] ?? tensor);
  return { input: feature.input, dims: tensor.dims, end, start };
}

const difference = (left: Numbers, right: Numbers) => Float64Array.from(left, (each, at) => each - right[at]!);

/**
 * Integrated gradients from a blurred picture to the sharp one: sum over steps of gradient times change as the blur goes
 * away, without a baseline. Each step's gradient is taken half-way, so that the scores sum to value - the blurred
 * picture's value up to the steps' error. Blurs build on each other, mirrored at the edges.
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
    const plane = picturePlane(context, dims);
    const blurred: Numbers[] = [end];
    for (let step = 1; step <= 2 * steps!; step++) {
      // Gaussians add in their squares: from one blur to the next only the difference is needed.
      const unit = max_sigma! / (2 * steps!);
      const sigma = unit * Math.sqrt(2 * step - 1);
      blurred.push(gaussian(blurred.at(-1)!, plane, sigma));
    }
    const runner = await context.open({ rows: 'points', backward: { reduction: 'times-difference' } });
    const target = await context.target(runner);
    const count = steps!;
    const { scores, values } = await runner.run(
      {
        weights: [...Array<number>(count).fill(1), 0, 0],
        points: (row) => (row < count ? blurred[2 * row + 1]! : row === count ? blurred.at(-1)! : end),
        differences: (row) => (row < count ? difference(blurred[2 * row]!, blurred[2 * row + 2]!) : end),
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

/** Rows of pixels as [outer, length, inner] for both spatial axes. */
type PicturePlane = readonly { readonly outer: number; readonly length: number; readonly inner: number }[];

function picturePlane({ modality }: AttributionContext, dims: readonly number[]): PicturePlane {
  if (dims.length !== 4) throw new UserError('blur-ig is for pictures: the input needs four dimensions');
  const axes = modality.kind === 'image' && modality.layout === 'NHWC' ? [1, 2] : [2, 3];
  const size = (list: readonly number[]) => list.reduce((product, dim) => product * dim, 1);
  return axes.map((axis) => ({
    outer: size(dims.slice(0, axis)),
    length: dims[axis]!,
    inner: size(dims.slice(axis + 1)),
  }));
}

function gaussian(values: Numbers, plane: PicturePlane, sigma: number): Float64Array {
  const reach = Math.max(1, Math.ceil(3 * sigma));
  const kernel = Float64Array.from({ length: reach + 1 }, (_, at) => Math.exp(-(at * at) / (2 * sigma * sigma)));
  const total = kernel.reduce((sum, each, at) => sum + (at === 0 ? each : 2 * each), 0);
  let current = Float64Array.from(values);
  for (const { outer, length, inner } of plane) {
    const next = new Float64Array(current.length);
    for (let block = 0; block < outer; block++)
      for (let at = 0; at < length; at++)
        for (let offset = -reach; offset <= reach; offset++) {
          const share = kernel[Math.abs(offset)]! / total;
          const from = (block * length + mirror(at + offset, length)) * inner;
          const to = (block * length + at) * inner;
          for (let index = 0; index < inner; index++) next[to + index]! += share * current[from + index]!;
        }
    current = next;
  }
  return current;
}

/** ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ... */
function mirror(at: number, length: number): number {
  const period = 2 * length;
  const inside = ((at % period) + period) % period;
  return inside < length ? inside : period - 1 - inside;
}

/**
 * Integrated gradients along a path that moves first what the answer hardly depends on, and so keeps away from places
 * where gradients are large without reason. In each of `steps` steps the elements with the smallest |gradient| (a
 * `fraction` of them) go on towards the input until the distance left is what a straight path would have left; none may
 * be further than `max_dist` from the straight path. The scores sum to value - baseline value up to the steps' error.
 * Kapishnikov et al. 2021, https://arxiv.org/abs/2106.09788, whose reference has the same defaults.
 * Cost: at least `steps` forward and backward passes, one after another.
 */
export const guidedIg = defineMethod({
  name: 'guided-ig',
  summary: 'gradients integrated along a path that moves first what matters least',
  options: {
    steps: { kind: 'integer', default: 200, min: 1, help: 'steps of the path' },
    fraction: { kind: 'number', default: 0.25, above: 0, help: 'of the elements moved at a time' },
    max_dist: { kind: 'number', default: 0.02, above: 0, help: 'from the straight path, as a part of it' },
  },
  usesBaseline: true,
  layers: 'none',
  async attribute(context, { steps, fraction, max_dist }) {
    const { input, dims, end, start } = onlyElements(context, 'guided-ig');
    const runner = await context.open({ rows: 'points', backward: { reduction: 'raw' } });
    const target = await context.target(runner);
    const gradientAt = async (point: Numbers) => {
      const { scores, values } = await runner.run({ weights: [1], points: () => point }, target, { quietly: true });
      return { gradient: scores[input]!.data, value: values[0]! };
    };
    const whole = l1(start, end);
    const scores = new Float64Array(end.length);
    const x = Float64Array.from(start);
    const baselineValue = (await gradientAt(start)).value;
    for (let step = 0; step < steps!; step++) {
      const alpha = (step + 1) / steps!;
      const bounds = { low: Math.max(0, alpha - max_dist!), high: Math.min(1, alpha + max_dist!) };
      const wanted = whole * (1 - alpha);
      const { gradient } = await gradientAt(Float64Array.from(x));
      const before = Float64Array.from(x);
      advance(x, { start, end, gradient, bounds, wanted, fraction: fraction! });
      for (let at = 0; at < x.length; at++) scores[at]! += gradient[at]! * (x[at]! - before[at]!);
    }
    return {
      scores: { [input]: { dims, data: Float64Array.from(scores) } },
      value: (await gradientAt(end)).value,
      baselineValue,
      sumsTo: 'difference',
    };
  },
});

function l1(left: ArrayLike<number>, right: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < left.length; at++) sum += Math.abs(left[at]! - right[at]!);
  return sum;
}

interface Advance {
  readonly start: Numbers;
  readonly end: Numbers;
  readonly gradient: Numbers;
  /** Of the position on the straight path. */
  readonly bounds: { readonly low: number; readonly high: number };
  /** Distance that shall be left. */
  readonly wanted: number;
  readonly fraction: number;
}

/** Moves a point on, elements with small gradients first, until the distance left is the one wanted. */
function advance(x: Float64Array, { start, end, gradient, bounds, wanted, fraction }: Advance): void {
  const at = (alpha: number, index: number) => start[index]! + alpha * (end[index]! - start[index]!);
  for (let index = 0; index < x.length; index++) {
    const span = end[index]! - start[index]!;
    if (span !== 0 && (x[index]! - start[index]!) / span < bounds.low) x[index] = at(bounds.low, index);
  }
  for (;;) {
    const left = l1(x, end);
    if (left <= wanted + 1e-9 * left) return;
    const open = Array.from(x.keys()).filter((index) => Math.abs(at(bounds.high, index) - x[index]!) > 1e-12);
    if (open.length === 0) return;
    open.sort((one, other) => Math.abs(gradient[one]!) - Math.abs(gradient[other]!));
    const moved = open.slice(0, Math.max(1, Math.floor(fraction * open.length)));
    const room = moved.reduce((sum, index) => sum + Math.abs(at(bounds.high, index) - x[index]!), 0);
    const share = Math.min(1, (left - wanted) / room);
    for (const index of moved) x[index]! += share * (at(bounds.high, index) - x[index]!);
    if (share < 1) return;
  }
}
