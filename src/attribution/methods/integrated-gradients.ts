import { sumOfScores } from '../../explanation/index.ts';
import type { Scores } from '../../explanation/index.ts';
import type { Attribution, AttributionContext, Quadrature, QuadratureName, RunResult } from '../../programs/index.ts';
import { QUADRATURES, baselineCount, defineMethod, quadrature } from '../../programs/index.ts';

/** What Captum calls the rules. */
const CAPTUM_RULES = {
  gausslegendre: 'gauss-legendre',
  riemann_trapezoid: 'trapezoid',
  riemann_middle: 'midpoint',
  riemann_left: 'left',
  riemann_right: 'right',
} as const;

/** Intervals of the adaptive rule: doubled at least once, then to the last until the gap is small. */
const FIRST_INTERVALS = 4;
const LAST_INTERVALS = 512;
/**
 * Scores have settled when Simpson's differ from the trapezoid's by at most so many times the tolerance, in the norm over all
 * features. That difference is the trapezoid's own error; Simpson's is far smaller where the gradient is smooth.
 */
const SETTLED = 5;
/** Of more features than these, as pixels, single ones are not read, and those of a network of rectifiers settle very late. */
const MOST_SETTLED = 1024;

/**
 * (x - x0) * integral over a in [0, 1] of d target / dx at x0 + a (x - x0): scores that sum to value - baselineValue.
 * With several baselines it is the mean over them, and so is the baseline's value. Without `steps` the number of steps doubles, keeping all earlier ones, until the scores' sum is within `tolerance` of
 * that difference, and, of up to 1,024 features, the scores themselves have settled: errors of several features can cancel in the sum. With `steps` that many nodes of `rule` are used, and the two ends are evaluated for the gap.
 * Sundararajan, Taly & Yan 2017, https://arxiv.org/abs/1703.01365. Cost: one forward and backward pass per step.
 */
export const integratedGradients = defineMethod({
  name: 'integrated-gradients',
  summary: 'gradients integrated from a baseline to the input; the scores sum to the change of the answer',
  options: {
    steps: {
      kind: 'integer',
      default: null,
      min: 1,
      help: 'points on the path; without it as many as the tolerance needs',
      aliases: ['n_steps'],
    },
    tolerance: {
      kind: 'number',
      default: 0.01,
      above: 0,
      help: 'largest gap accepted, relative to value - baseline value',
    },
    rule: {
      kind: 'choice',
      default: 'adaptive',
      choices: ['adaptive', ...QUADRATURES],
      help: 'quadrature rule; adaptive: gauss-legendre where steps are given, else as many as the tolerance needs',
      aliases: ['method'],
      synonyms: CAPTUM_RULES,
    },
  },
  usesBaseline: 'many',
  layers: 'as-inputs',
  async attribute(context, { steps, tolerance, rule }) {
    const path = await openPath(context);
    if (rule === 'adaptive' && steps === null) return adaptive(path, tolerance);
    return fixed(path, steps ?? DEFAULT_STEPS, rule === 'adaptive' ? 'gauss-legendre' : rule);
  },
});

/** Where a rule is named without a number of steps, as Captum. */
const DEFAULT_STEPS = 50;

/** Runs points of the straight path: the weighted sum of scores, and the values at the points, as means over the baselines. */
type Path = (points: Quadrature) => Promise<Pick<RunResult, 'scores' | 'values'>>;

async function openPath(context: AttributionContext): Promise<Path> {
  const count = baselineCount(context);
  const runner = await context.open({
    rows: 'alphas',
    ...(count > 1 ? { manyBaselines: true } : {}),
    backward: { reduction: 'times-difference' },
  });
  const target = await context.target(runner);
  if (count === 1) return (points) => runner.run(points, target);
  const each = Array.from({ length: count }, (_, row) => row);
  return async ({ alphas, weights }) => {
    const { scores, values } = await runner.run(
      {
        alphas: each.flatMap(() => alphas),
        weights: each.flatMap(() => weights.map((weight) => weight / count)),
        baselines: each.flatMap((row) => alphas.map(() => row)),
      },
      target,
    );
    const mean = (at: number) => each.reduce((sum, row) => sum + values[row * alphas.length + at]!, 0) / count;
    return { scores, values: alphas.map((_, at) => mean(at)) };
  };
}

async function fixed(run: Path, steps: number, rule: QuadratureName): Promise<Attribution> {
  // The trapezoid needs both ends; one step of it is their mean.
  const { alphas, weights } = quadrature(rule, rule === 'trapezoid' ? Math.max(2, steps) : steps);
  // The ends ride along with weight 0: their values tell the gap.
  const { scores, values } = await run({ alphas: [0, ...alphas, 1], weights: [0, ...weights, 0] });
  return {
    scores,
    value: values.at(-1)!,
    baselineValue: values[0]!,
    sumsTo: 'difference',
    found: { steps: alphas.length, rule },
  };
}

/** Trapezoid sums T(n) on nested grids; (4 T(2n) - T(n)) / 3 is Simpson's rule, at no further pass. */
async function adaptive(run: Path, tolerance: number): Promise<Attribution> {
  const ends = await run(grid(FIRST_INTERVALS));
  const [baselineValue, value] = [ends.values[0]!, ends.values.at(-1)!];
  let trapezoid = ends.scores;
  let best = trapezoid;
  let intervals = FIRST_INTERVALS;
  let unsettled = Infinity;
  const features = Object.values(best).reduce((sum, { data }) => sum + data.length, 0);
  const settled = () => features > MOST_SETTLED || unsettled <= SETTLED * tolerance;
  const addsUp = () =>
    Math.abs(sumOfScores(best) - (value - baselineValue)) <=
    tolerance * Math.max(Math.abs(value - baselineValue), 1e-4);
  do {
    const middle = await run(midpoints(intervals));
    intervals *= 2;
    const finer = combine(trapezoid, 0.5, middle.scores, 0.5);
    best = combine(finer, 4 / 3, trapezoid, -1 / 3);
    trapezoid = finer;
    unsettled = distance(best, finer) / Math.max(distance(best), Number.MIN_VALUE);
  } while (!(settled() && addsUp()) && intervals < LAST_INTERVALS);
  const steps = `even after ${intervals + 1} steps`;
  const warnings = [
    ...(addsUp() ? [] : [`the scores do not add up to the answer within ${tolerance * 100}% ${steps}`]),
    ...(settled() ? [] : [`the scores of single features still change by ${(100 * unsettled).toFixed(0)}% ${steps}`]),
  ];
  return {
    scores: best,
    value,
    baselineValue,
    sumsTo: 'difference',
    found: { steps: intervals + 1, rule: 'simpson' },
    warnings,
  };
}

const grid = (intervals: number) => quadrature('trapezoid', intervals + 1);
const midpoints = (intervals: number) => quadrature('midpoint', intervals);

type ScoreMap = Readonly<Record<string, Scores>>;

/** The Euclidean norm of left - right over all inputs; of left where right is left out. */
function distance(left: ScoreMap, right?: ScoreMap): number {
  let sum = 0;
  for (const [input, { data }] of Object.entries(left)) {
    const other = right?.[input]!.data;
    for (let at = 0; at < data.length; at++) sum += (data[at]! - (other?.[at] ?? 0)) ** 2;
  }
  return Math.sqrt(sum);
}

function combine(left: ScoreMap, a: number, right: ScoreMap, b: number): ScoreMap {
  return Object.fromEntries(
    Object.entries(left).map(([input, { dims, data }]) => {
      const other = right[input]!.data;
      return [input, { dims, data: Float64Array.from(data, (score, index) => a * score + b * other[index]!) }];
    }),
  );
}
