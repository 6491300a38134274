/** Axioms on random models; those of completeness are in axioms.test.ts. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GraphBuilder, ValueName } from '../../src/onnx/index.ts';
import { applySteps, buildModel, explainRow, randomSteps, vector, withModel } from './graphs.ts';
import type { Step } from './graphs.ts';

const WIDTH = 4;
const RUNS = { numRuns: 8, seed: 1703 };
const network = fc.record({ steps: randomSteps(WIDTH, false), x: vector(WIDTH), from: vector(WIDTH) });
const options = (method: string): Record<string, number> => (method === 'integrated-gradients' ? { steps: 50 } : {});

/** Scores of what `build` makes of x, element 0 of it being explained. */
const scoresOf = (
  build: (b: GraphBuilder, x: ValueName) => ValueName,
  method: string,
  x: readonly number[],
  from: readonly number[],
) =>
  withModel(buildModel(WIDTH, build), async (host) => {
    const { scores, explanation } = await explainRow(host, method, x, { from, options: options(method) });
    return { scores, value: explanation.value, baselineValue: explanation.baselineValue };
  });

const close = (left: readonly number[], right: readonly number[]) => {
  const largest = Math.max(1, ...left.map(Math.abs));
  left.forEach((score, at) => expect(Math.abs(score - right[at]!)).toBeLessThan(5e-4 * largest));
};

describe('sensitivity-n: of a linear model any features’ scores sum to what they change together', () => {
  test.each(['integrated-gradients', 'deep-lift', 'expected-gradients', 'exact-shapley'])('%s', async (method) => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          weights: vector(WIDTH),
          x: vector(WIDTH),
          from: vector(WIDTH),
          subset: fc.integer({ min: 1, max: 15 }),
        }),
        async ({ weights, x, from, subset }) => {
          const linear = (b: GraphBuilder, input: ValueName) =>
            b.matmul(input, b.constant('float32', [WIDTH, 1], weights));
          const { scores } = await scoresOf(linear, method, x, from);
          let [sum, change] = [0, 0];
          for (let at = 0; at < WIDTH; at++) {
            if (((subset >> at) & 1) === 0) continue;
            sum += scores[at]!;
            change += weights[at]! * (x[at]! - from[at]!);
          }
          // IDGI shares by squared gradients: of a linear model only the whole adds up.
          if (method !== 'idgi' || subset === 15) expect(sum).toBeCloseTo(change, 3);
        },
      ),
      RUNS,
    );
  });
});

describe('implementation invariance: the hidden units in another order, and each layer in two halves', () => {
  /** The same function: the units of each dense layer reversed and put back, its product made of two. */
  const rewritten = (b: GraphBuilder, x: ValueName, steps: readonly Step[]) =>
    steps.reduce((value, step) => {
      if (step.kind !== 'dense') return applySteps(b, value, [step], WIDTH);
      const half = (scale: number) =>
        b.matmul(value, b.constant('float32', [WIDTH, WIDTH], reversedColumns(step.weights, scale)));
      const bias = b.constant('float32', [WIDTH], step.bias.toReversed());
      const turned = b.add(b.add(half(0.25), half(0.75)), bias);
      return b.gather(turned, b.int64s([3, 2, 1, 0]), 1);
    }, x);
  const reversedColumns = (weights: readonly number[], scale: number) =>
    weights.map((_, at) => scale * weights[WIDTH * Math.floor(at / WIDTH) + (WIDTH - 1 - (at % WIDTH))]!);

  test.each(['integrated-gradients', 'saliency', 'input-x-gradient', 'exact-shapley', 'idgi'])('%s', async (method) => {
    await fc.assert(
      fc.asyncProperty(network, async ({ steps, x, from }) => {
        const one = await scoresOf((b, input) => applySteps(b, input, steps, WIDTH), method, x, from);
        const other = await scoresOf((b, input) => rewritten(b, input, steps), method, x, from);
        expect(one.value).toBeCloseTo(other.value, 3);
        close(one.scores, other.scores);
      }),
      RUNS,
    );
  });
});

describe('linearity: the scores of a weighted sum of two models are the weighted sums', () => {
  test.each(['integrated-gradients', 'input-x-gradient', 'deep-lift', 'exact-shapley', 'expected-gradients'])(
    '%s',
    async (method) => {
      await fc.assert(
        fc.asyncProperty(network, randomSteps(WIDTH, false), async ({ steps, x, from }, others) => {
          const f = (b: GraphBuilder, input: ValueName) => applySteps(b, input, steps, WIDTH);
          const g = (b: GraphBuilder, input: ValueName) => applySteps(b, input, others, WIDTH);
          const [one, other, both] = [
            await scoresOf(f, method, x, from),
            await scoresOf(g, method, x, from),
            await scoresOf(
              (b, input) => {
                const [left, right] = [f(b, input), g(b, input)];
                return b.sub(b.mul(b.scalar(2, left), left), b.mul(b.scalar(0.5, right), right));
              },
              method,
              x,
              from,
            ),
          ];
          close(
            both.scores,
            one.scores.map((score, at) => 2 * score - 0.5 * other.scores[at]!),
          );
        }),
        RUNS,
      );
    },
  );
});

describe('a dummy feature scores zero, and two that are read alike score alike', () => {
  test.each(['integrated-gradients', 'deep-lift', 'exact-shapley', 'kernel-shap', 'lrp-0', 'saliency'])(
    '%s',
    async (method) => {
      await fc.assert(
        fc.asyncProperty(network, async ({ steps, x, from }) => {
          // Element 3 is not read; 0 and 1 enter only as their sum, and are given the same values.
          const mix = [1, 0, 0.5, 0, 1, 0, 0.5, 0, 0, 1, -1, 0, 0, 0, 0, 0];
          const [alike, compared] = [
            [x[0]!, x[0]!, x[2]!, x[3]!],
            [from[0]!, from[0]!, from[2]!, from[3]!],
          ];
          const { scores } = await scoresOf(
            (b, input) => applySteps(b, b.matmul(input, b.constant('float32', [WIDTH, WIDTH], mix)), steps, WIDTH),
            method,
            alike,
            compared,
          );
          expect(Math.abs(scores[3]!)).toBeLessThan(1e-5);
          expect(scores[0]).toBeCloseTo(scores[1]!, 3);
        }),
        RUNS,
      );
    },
  );
});

describe('completeness of lrp-epsilon: the scores sum to the answer less what biases and epsilon take', () => {
  /** ReLU networks, of which what each layer keeps back is easily written down. */
  const plain = network.map(({ steps, x }) => ({
    x,
    steps: steps.map((step): Step => (step.kind === 'dense' ? step : { kind: 'activation', operator: 'Relu' })),
  }));
  const denominator = (z: number, epsilon: number) => z + (z < 0 ? -epsilon : epsilon);

  /** What dense layers keep of the relevance that comes to them, and the most that comes to any. */
  function kept(steps: readonly Step[], x: readonly number[], epsilon: number): { kept: number; most: number } {
    const before: (readonly number[])[] = [];
    let values = x;
    for (const step of steps) {
      before.push(values);
      values =
        step.kind === 'dense'
          ? step.bias.map((bias, to) => values.reduce((sum, v, at) => sum + v * step.weights[at * WIDTH + to]!, bias))
          : values.map((value) => Math.max(0, value));
    }
    let relevance = values.map((value, at) => (at === 0 ? value : 0));
    let [sum, most] = [0, 1];
    for (let at = steps.length - 1; at >= 0; at--) {
      const step = steps[at]!;
      if (step.kind !== 'dense') continue;
      const inputs = before[at]!;
      const shares = relevance.map((each, to) => {
        const z = inputs.reduce((total, v, from) => total + v * step.weights[from * WIDTH + to]!, step.bias[to]!);
        return each / denominator(z, epsilon);
      });
      const received = inputs.map((v, from) =>
        shares.reduce((total, share, to) => total + share * v * step.weights[from * WIDTH + to]!, 0),
      );
      most = Math.max(most, ...relevance.map(Math.abs), ...received.map(Math.abs));
      for (let unit = 0; unit < WIDTH; unit++) sum += relevance[unit]! - received[unit]!;
      relevance = received;
    }
    return { kept: sum, most };
  }

  test.each([1e-6, 0.05, 0.5])('epsilon=%s', async (epsilon) => {
    await fc.assert(
      fc.asyncProperty(plain, ({ steps, x }) =>
        withModel(
          buildModel(WIDTH, (b, input) => applySteps(b, input, steps, WIDTH)),
          async (host) => {
            const { explanation, scores } = await explainRow(host, 'lrp-epsilon', x, { options: { epsilon } });
            const lost = kept(steps, x, epsilon);
            const sum = scores.reduce((total, score) => total + score, 0);
            const within = 1e-3 * lost.most;
            expect(Math.abs(explanation.value - sum - lost.kept)).toBeLessThan(within);
            // What the explanation states is that.
            expect(Math.abs(explanation.convergenceDelta! + lost.kept)).toBeLessThan(within);
          },
        ),
      ),
      RUNS,
    );
  });
});
