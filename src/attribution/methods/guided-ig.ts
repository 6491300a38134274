import type { Numbers } from '../../programs/index.ts';
import { defineMethod } from '../../programs/index.ts';
import { onlyElements } from './only-elements.ts';

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
    fraction: { kind: 'number', default: 0.25, above: 0, max: 1, help: 'of the elements moved at a time' },
    max_dist: { kind: 'number', default: 0.02, above: 0, max: 1, help: 'from the straight path, as a part of it' },
  },
  usesBaseline: true,
  layers: 'none',
  async attribute(context, { steps, fraction, max_dist }) {
    const { input, dims, end, start } = onlyElements(context, 'guided-ig');
    const runner = await context.open({ rows: 'points', backward: { reduction: 'raw' } });
    const target = await context.target(runner);
    let done = 0;
    const gradientAt = async (point: Numbers) => {
      const part = { done: done++, total: steps! + 2 };
      const { scores, values } = await runner.run({ weights: [1], points: () => point }, target, { part });
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
