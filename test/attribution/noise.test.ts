import { describe, expect, it } from 'vitest';
import { attribute } from '../../src/attribution/index.ts';
import type { AttributeRequest } from '../../src/attribution/index.ts';
import type { ModelHost } from '../../src/runtime/index.ts';
import { makeModel, makeNode } from '../models.ts';
import { buildModel, explainRow, row, withModel } from './graphs.ts';

/** y = x1 + 2 x2 + 3 x3, whose scores everybody knows. */
const linear = buildModel(3, (b, x) => b.matmul(x, b.constant('float32', [3, 1], [1, 2, 3])));
const ones = [1, 1, 1];

const rows = (list: readonly (readonly number[])[]) =>
  ({ type: 'float32', dims: [list.length, 3], data: Float32Array.from(list.flat()) }) as const;

describe('noise around a method', () => {
  it('leaves a method without a baseline without one, whatever baseline stands beside it', () =>
    withModel(linear, async (host) => {
      const from = [0.5, 0.5, 0.5];
      const options = { of: 'input-x-gradient', stdevs: 1e-6 };
      const plain = await explainRow(host, 'input-x-gradient', ones, { from });
      const { scores, explanation } = await explainRow(host, 'smooth-grad', ones, { from, options });
      scores.forEach((score, at) => expect(score).toBeCloseTo(plain.scores[at]!, 4));
      expect(explanation.options).not.toHaveProperty('baseline');
    }));

  it('has a variance that keeps its digits where the scores are large beside it', () =>
    withModel(linear, async (host) => {
      const options = { of: 'input-x-gradient', stdevs: 0.01, nt_samples: 2000 };
      const { scores } = await explainRow(host, 'var-grad', [1000, 1000, 1000], { options });
      // The score of x_i is w_i x_i: its variance is w_i squared times that of the noise.
      [1e-4, 4e-4, 9e-4].forEach((variance, at) => expect(Math.abs(scores[at]! / variance - 1)).toBeLessThan(0.1));
    }));

  it('is asked to say how much it is where the input has no range to take a part of', () =>
    withModel(linear, async (host) => {
      await expect(explainRow(host, 'smooth-grad', ones)).rejects.toThrow(
        'input "x" is 1 everywhere, so noise in proportion to its range is none: give --option stdevs=NUMBER',
      );
    }));

  it('is the same however many rows run together, also where there are several inputs', async () => {
    const input = (name: string) => ({ name, type: 'float32' as const, dims: ['batch', 2] });
    const product = makeModel({
      inputs: [input('x'), input('z')],
      outputs: [{ name: 'y', type: 'float32', dims: ['batch', 2] }],
      nodes: [makeNode('Mul', ['x', 'z'], ['p']), makeNode('Mul', ['p', 'z'], ['y'])],
    });
    const given = (values: readonly number[]) => ({ ...row(values), dims: [1, 2] });
    const scores = async (host: ModelHost, more: Partial<AttributeRequest>) => {
      const { explanation } = await attribute(host, {
        inputs: { x: given([1, 2]), z: given([3, 4]) },
        method: 'smooth-grad',
        options: { stdevs: 1, of: 'input-x-gradient', nt_samples: 10 },
        target: { label: '0', indices: [0] },
        ...more,
      });
      return Array.from(explanation.attributions['x']!.data);
    };
    await withModel(product, async (host) => {
      const together = await scores(host, {});
      const apart = await scores(host, { memoryBudget: 1 });
      together.forEach((score, at) => expect(apart[at]).toBeCloseTo(score, 5));
    });
  });
});

describe('expected gradients over many baselines', () => {
  const zeros = Array.from({ length: 100 }, () => [0, 0, 0]);
  const explained = (host: ModelHost, baseline: readonly (readonly number[])[], n_samples: number) =>
    attribute(host, {
      inputs: { x: row(ones) },
      method: 'expected-gradients',
      options: { n_samples },
      target: { label: '0', indices: [0] },
      baseline: { x: rows(baseline) },
    }).then(({ explanation }) => explanation);

  it('draws those that take part where there are more than samples, whatever order they stand in', () =>
    withModel(linear, async (host) => {
      const explanation = await explained(host, [...zeros, ...zeros.map(() => ones)], 100);
      expect(explanation.convergenceDelta).toBeCloseTo(0, 4);
      // Half of them are as the input, so each score is about half of its weight.
      explanation.attributions['x']!.data.forEach((score, at) => expect(score).toBeCloseTo((at + 1) * 0.5, 0));
      expect(explanation.warnings).toContain('100 of the 200 baselines were drawn: n_samples=200 takes all of them');
      expect(explanation.options['baselines']).toBe(100);
    }));

  it('weighs every baseline the same, also where samples do not go evenly into them', () =>
    withModel(linear, async (host) => {
      const explanation = await explained(host, [...zeros.slice(0, 40), ...zeros.slice(0, 20).map(() => ones)], 100);
      [2 / 3, 4 / 3, 2].forEach((score, at) => expect(explanation.attributions['x']!.data[at]).toBeCloseTo(score, 4));
    }));
});
