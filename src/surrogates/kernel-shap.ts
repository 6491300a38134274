import type { Random } from '../inputs/core.ts';
import { seededRandom } from '../inputs/core.ts';
import type { Attribution, Coalition } from '../programs/index.ts';
import { Game, PLAYER_OPTIONS, allCoalitions, defineMethod, findPlayers, spreadOver } from '../programs/index.ts';
import type { NormalEquations, Regression } from './linear.ts';
import { cholesky, inverseDiagonal, normalEquations, solveFactored } from './linear.ts';

/** Samples between looks at the confidence intervals. */
const ROUND = 512;

/**
 * Kernel SHAP: Shapley values as the weighted linear fit to the answers of coalitions, with the sum held to
 * value - baseline value. Sizes of coalitions are drawn by the Shapley kernel, each coalition with its complement
 * (Covert & Lee 2021, https://arxiv.org/abs/2012.01536); when all coalitions are no more than `n_samples` each is run
 * once, and the values are exact. Without `n_samples` it takes 2 n + 2048 for n players, as the shap package, and stops
 * as soon as the largest 95% interval is narrower than `tolerance` times the range of the scores.
 * Reported: `interval`, half the width of the widest 95% interval.
 * Lundberg & Lee 2017, https://arxiv.org/abs/1705.07874. Cost: at most `n_samples` forward passes.
 */
export const kernelShap = defineMethod({
  name: 'kernel-shap',
  summary: 'Shapley values by a weighted linear fit to sampled coalitions, with confidence intervals',
  options: {
    n_samples: { kind: 'integer', default: null, min: 4, help: 'coalitions; default: 2 for each player and 2048' },
    tolerance: { kind: 'number', default: 0.01, above: 0, help: 'stop when intervals are this narrow' },
    ...PLAYER_OPTIONS,
  },
  usesBaseline: true,
  layers: 'none',
  async attribute(context, { n_samples, tolerance, ...options }): Promise<Attribution> {
    const game = await Game.open(context, findPlayers(context, options));
    const { count } = game;
    const budget = n_samples ?? 2 * count + 2048;
    const [value, baselineValue] = (await game.values([game.all(), game.none()])) as [number, number];
    const result = (scores: ArrayLike<number>, found: Attribution['found']): Attribution => ({
      scores: spreadOver(game.players, scores, true),
      value,
      baselineValue,
      sumsTo: 'difference',
      found: { n_samples: budget, ...found },
    });
    if (count === 1) return result([value - baselineValue], { samples: 2, exact: true, interval: 0 });
    if (count < 30 && 2 ** count <= budget) {
      const coalitions = [...allCoalitions(count)].slice(1, -1);
      const fit = new ConstrainedFit(value - baselineValue).add({
        rows: coalitions,
        answers: (await game.values(coalitions)).map((answer) => answer - baselineValue),
        weights: coalitions.map(
          (each) => kernel(count, sizeOfCoalition(each)) / binomial(count, sizeOfCoalition(each)),
        ),
      });
      return result(fit.scores, { samples: 2 ** count, exact: true, interval: 0 });
    }
    const random = seededRandom(context.seed);
    const constrained = new ConstrainedFit(value - baselineValue);
    let samples = 0;
    let fit: Fit | undefined;
    while (samples < budget) {
      const rows = samplePairs(count, Math.min(ROUND, budget - samples), random);
      const answers = (await game.values(rows)).map((answer) => answer - baselineValue);
      samples += rows.length;
      fit = constrained.add({ rows, answers, weights: answers.map(() => 1) });
      const range = Math.max(...fit.scores) - Math.min(...fit.scores);
      if (samples > 4 * count && fit.interval < tolerance! * range) break;
    }
    return result(fit!.scores, {
      samples,
      exact: false,
      interval: fit!.interval,
      seed: context.seed,
    });
  },
});

interface Fit {
  readonly scores: Float64Array;
  readonly interval: number;
}

/** The Shapley kernel by size: (n - 1) / (k (n - k)), for all coalitions of that size together. */
const kernel = (count: number, size: number) => (count - 1) / (size * (count - size));

function binomial(n: number, k: number): number {
  let result = 1;
  for (let at = 1; at <= k; at++) result = (result * (n - at + 1)) / at;
  return result;
}

function sizeOfCoalition(coalition: Coalition): number {
  let size = 0;
  for (const each of coalition) size += each;
  return size;
}

/** Coalitions and their complements, sizes drawn by the kernel. */
function samplePairs(count: number, samples: number, random: Random): Coalition[] {
  const weights = Array.from({ length: count - 1 }, (_, at) => kernel(count, at + 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const result: Coalition[] = [];
  while (result.length < samples) {
    let [size, rest] = [1, random() * total];
    while (size < count - 1 && rest > weights[size - 1]!) rest -= weights[size++ - 1]!;
    const players = Array.from({ length: count }, (_, player) => player);
    const coalition = new Uint8Array(count);
    for (let at = 0; at < size; at++) {
      const other = at + Math.floor(random() * (count - at));
      [players[at], players[other]] = [players[other]!, players[at]!];
      coalition[players[at]!] = 1;
    }
    result.push(
      coalition,
      coalition.map((each) => 1 - each),
    );
  }
  return result;
}

/** Least squares with the coefficients' sum held: the last player is what the others leave. Samples come in rounds. */
class ConstrainedFit {
  readonly #total: number;
  readonly #rows: Float64Array[] = [];
  readonly #answers: number[] = [];
  #equations: NormalEquations | undefined;

  constructor(total: number) {
    this.#total = total;
  }

  /** The fit to these samples and all earlier ones. */
  add(data: Regression): Fit {
    const n = data.rows[0]!.length - 1;
    const rows = data.rows.map((row) => Float64Array.from({ length: n }, (_, at) => row[at]! - row[n]!));
    const answers = data.answers.map((answer, sample) => answer - data.rows[sample]![n]! * this.#total);
    const { A, b } = normalEquations({ rows, answers, weights: data.weights }, this.#equations);
    this.#equations = { A, b };
    for (const row of rows) this.#rows.push(row);
    for (const answer of answers) this.#answers.push(answer);
    // Too few samples leave directions open: a trace of ridge closes them.
    const trace = A.reduce((sum, each, at) => (at % (n + 1) === 0 ? sum + each : sum), 0) / n;
    const closed = Float64Array.from(A, (each, at) => (at % (n + 1) === 0 ? each + 1e-10 * trace : each));
    const L = cholesky(closed, n);
    const free = L === undefined ? new Float64Array(n) : solveFactored(L, b);
    const last = this.#total - free.reduce((sum, each) => sum + each, 0);
    return {
      scores: Float64Array.from([...free, last]),
      interval: L === undefined ? Infinity : this.#halfWidth(L, free),
    };
  }

  /** 1.96 times the largest standard error, from the variance of the residuals. */
  #halfWidth(L: Float64Array, fit: Float64Array): number {
    const n = fit.length;
    let squares = 0;
    this.#rows.forEach((row, sample) => {
      let predicted = 0;
      for (let at = 0; at < n; at++) predicted += row[at]! * fit[at]!;
      squares += (this.#answers[sample]! - predicted) ** 2;
    });
    const variance = squares / Math.max(1, this.#rows.length - n);
    return 1.96 * Math.sqrt(variance * Math.max(0, ...inverseDiagonal(L, n)));
  }
}
