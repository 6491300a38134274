import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applySteps, buildModel, explainRow, randomSteps, vector, withModel } from './graphs.ts';

const WIDTH = 4;
// A fixed seed: a bound in float32 must not hold on one day and fail on the next.
const RUNS = { numRuns: 12, seed: 1703 };
const network = (products: boolean) =>
  fc.record({ steps: randomSteps(WIDTH, products), x: vector(WIDTH), from: vector(WIDTH) });

describe('completeness on random networks: the scores sum to value - baseline value', () => {
  test.each([
    ['deep-lift', {}, 2e-4],
    ['deep-lift-reveal-cancel', {}, 2e-4],
    ['deep-lift-shap', {}, 2e-4],
    ['integrated-gradients', { steps: 400 }, 2e-2],
    ['idgi', {}, 2e-4],
    ['exact-shapley', {}, 2e-4],
  ])('%s', async (method, options, tolerance) => {
    await fc.assert(
      fc.asyncProperty(network(true), ({ steps, x, from }) =>
        withModel(
          buildModel(WIDTH, (b, input) => applySteps(b, input, steps, WIDTH)),
          async (host) => {
            const { explanation } = await explainRow(host, method, x, { from, options });
            expect(Math.abs(explanation.convergenceDelta!)).toBeLessThan(tolerance);
          },
        ),
      ),
      RUNS,
    );
  });
});

describe('conservation: without biases the relevance sums to the answer', () => {
  test.each(['lrp-0', 'attn-lrp'])('%s', async (method) => {
    await fc.assert(
      fc.asyncProperty(network(false), ({ steps, x }) => {
        // What biases and constants of activations take is no relevance of the input's.
        const unbiased = steps.map((step) =>
          step.kind === 'dense'
            ? { ...step, bias: step.bias.map(() => 0) }
            : step.kind === 'activation'
              ? ({ kind: 'activation', operator: 'Relu' } as const)
              : step,
        );
        return withModel(
          buildModel(WIDTH, (b, input) => applySteps(b, input, unbiased, WIDTH)),
          async (host) => {
            const { explanation } = await explainRow(host, method, x);
            const largest = Math.max(1e-2, Math.abs(explanation.value));
            expect(Math.abs(explanation.convergenceDelta!) / largest).toBeLessThan(1e-2);
          },
        );
      }),
      RUNS,
    );
  });
});

test('a feature the model does not read scores zero', async () => {
  const methods = [
    'saliency',
    'input-x-gradient',
    'integrated-gradients',
    'deep-lift',
    'deep-lift-reveal-cancel',
    'lrp-0',
    'lrp-gamma',
    'attn-lrp',
    'idgi',
    'guided-backprop',
    'exact-shapley',
    'feature-ablation',
    'smooth-grad',
    'expected-gradients',
  ];
  await fc.assert(
    fc.asyncProperty(network(true), ({ steps, x, from }) => {
      const mask = b4([1, 1, 0, 1]);
      return withModel(
        buildModel(WIDTH, (b, input) =>
          applySteps(b, b.matmul(input, b.constant('float32', [WIDTH, WIDTH], mask)), steps, WIDTH),
        ),
        async (host) => {
          // Without a ReLU guided backpropagation is refused.
          const rectified = steps.some((step) => 'operator' in step && step.operator === 'Relu');
          for (const method of methods.filter((each) => rectified || each !== 'guided-backprop')) {
            // Noise in proportion to the range of an input that is the same everywhere would be none.
            const options: Record<string, number> = method === 'smooth-grad' ? { stdevs: 0.1 } : {};
            const { scores } = await explainRow(host, method, x, { from, options });
            expect([method, Math.abs(scores[2]!)]).toEqual([method, 0]);
          }
        },
      );
    }),
    { numRuns: 4, seed: 1703 },
  );
});

/** A diagonal matrix. */
function b4(diagonal: readonly number[]): number[] {
  return diagonal.flatMap((value, at) => diagonal.map((_, column) => (column === at ? value : 0)));
}

test('features the model treats alike, with equal values, score alike', async () => {
  await fc.assert(
    fc.asyncProperty(network(true), ({ steps, x, from }) => {
      // The first two features go in only as their sum.
      const sum = [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
      const same = (values: readonly number[]) => [values[0]!, values[0]!, values[2]!, values[3]!];
      return withModel(
        buildModel(WIDTH, (b, input) =>
          applySteps(b, b.matmul(input, b.constant('float32', [WIDTH, WIDTH], sum)), steps, WIDTH),
        ),
        async (host) => {
          for (const method of ['integrated-gradients', 'deep-lift', 'exact-shapley', 'idgi']) {
            const { scores } = await explainRow(host, method, same(x), { from: same(from) });
            expect(scores[0]).toBeCloseTo(scores[1]!, 5);
          }
        },
      );
    }),
    { numRuns: 4, seed: 1703 },
  );
});

test('the scores of a sum of two models are the sums of their scores', async () => {
  await fc.assert(
    fc.asyncProperty(network(true), randomSteps(WIDTH, true), ({ steps, x, from }, others) => {
      const model = (parts: readonly (typeof steps)[]) =>
        buildModel(WIDTH, (b, input) =>
          parts.map((part) => applySteps(b, input, part, WIDTH)).reduce((left, right) => b.add(left, right)),
        );
      const scoresOf = (parts: readonly (typeof steps)[], method: string) =>
        withModel(model(parts), async (host) => (await explainRow(host, method, x, { from, options: {} })).scores);
      return (async () => {
        for (const method of ['input-x-gradient', 'deep-lift', 'exact-shapley']) {
          const [both, one, other] = await Promise.all([
            scoresOf([steps, others], method),
            scoresOf([steps], method),
            scoresOf([others], method),
          ]);
          both.forEach((score, index) => expect(score).toBeCloseTo(one[index]! + other[index]!, 4));
        }
      })();
    }),
    { numRuns: 4, seed: 1703 },
  );
});

test('of a linear model every method that shares out the answer gives weight times difference', async () => {
  const weights = [0.5, -1, 2, 0.25];
  const model = buildModel(WIDTH, (b, x) => b.matmul(x, b.constant('float32', [WIDTH, 1], weights)));
  const [x, from] = [
    [1, 2, -1, 3],
    [0.5, 0, 1, 1],
  ];
  await withModel(model, async (host) => {
    for (const method of [
      'integrated-gradients',
      'deep-lift',
      'exact-shapley',
      'expected-gradients',
      'feature-ablation',
    ]) {
      const { scores } = await explainRow(host, method, x!, { from: from! });
      scores.forEach((score, at) => expect(score).toBeCloseTo(weights[at]! * (x![at]! - from![at]!), 4));
    }
    const { scores } = await explainRow(host, 'lrp-0', x!);
    scores.forEach((score, at) => expect(score).toBeCloseTo(weights[at]! * x![at]!, 4));
  });
});

test('two models that answer alike have equal integrated gradients, however they are written', async () => {
  const [x, from] = [
    [0.3, -0.8, 1.2, 0.4],
    [0, 0, 0, 0],
  ];
  const w = [0.4, -0.7, 1, 0.2, 0.9, 0.1, -0.5, 0.6, -0.3, 0.8, 0.2, -0.9, 0.7, 0.5, -0.6, 0.3];
  const softplus = buildModel(WIDTH, (b, input) =>
    b.op('Softplus', [b.matmul(input, b.constant('float32', [4, 4], w))]),
  );
  const logarithm = buildModel(WIDTH, (b, input) => {
    const z = b.matmul(input, b.constant('float32', [4, 4], w));
    return b.log(b.add(b.exp(z), b.scalar(1, z)));
  });
  const options = { steps: 60 };
  const [one, other] = await Promise.all(
    [softplus, logarithm].map((model) =>
      withModel(
        model,
        async (host) => (await explainRow(host, 'integrated-gradients', x!, { from: from!, options })).scores,
      ),
    ),
  );
  one!.forEach((score, at) => expect(score).toBeCloseTo(other![at]!, 5));
});
