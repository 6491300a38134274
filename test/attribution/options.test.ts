import { describe, expect, it } from 'vitest';
import { ExplainableModel, attribute } from '../../src/attribution/index.ts';
import { int, numbersWeight } from '../../src/onnx/index.ts';
import { TEXT_MODEL } from '../folder.ts';
import { makeModel, makeNode } from '../models.ts';
import { buildModel, explainRow, withModel } from './graphs.ts';

const linear = buildModel(3, (b, x) => b.matmul(x, b.constant('float32', [3, 1], [1, 2, 3])));
const smooth = buildModel(3, (b, x) => b.sum(b.op('Tanh', [b.mul(x, x)]), [1], true));
const x = [0.3, 0.6, 0.9];

describe('options of methods', () => {
  it.each<[string, Record<string, string | number | boolean>, string]>([
    ['integrated-gradients', { steps: true }, 'must be a whole number of at least 1, not "true"'],
    ['integrated-gradients', { steps: '' }, 'must be a whole number of at least 1, not ""'],
    ['integrated-gradients', { steps: 3, n_steps: 4 }, 'option steps of integrated-gradients is given twice'],
    ['lrp-zb', { low: 5, high: -5 }, 'low=5 and high=-5'],
    ['rise', { keep: 1 }, 'must be below 1'],
    ['guided-ig', { fraction: 7 }, 'must be a number above 0 and at most 1, not "7"'],
    ['occlusion', { axis: 2 }, 'axis=2 of [1, 3]'],
  ])('%s with %o is refused', (method, options, message) =>
    withModel(linear, async (host) => {
      await expect(explainRow(host, method, x, { options })).rejects.toThrow(message);
    }),
  );

  it('have the names that Captum gives them too', () =>
    withModel(smooth, async (host) => {
      const ours = await explainRow(host, 'integrated-gradients', x, { options: { steps: 7, rule: 'left' } });
      const theirs = await explainRow(host, 'integrated-gradients', x, {
        options: { n_steps: 7, method: 'riemann_left' },
      });
      expect(theirs.scores).toEqual(ours.scores);
      expect(theirs.explanation.options).toMatchObject({ steps: 7, rule: 'left' });
    }));

  it('take a rule at its word where no number of steps is given', () =>
    withModel(smooth, async (host) => {
      const { explanation } = await explainRow(host, 'integrated-gradients', x, { options: { rule: 'left' } });
      expect(explanation.options).toMatchObject({ steps: 50, rule: 'left' });
    }));

  it('do not go with a feature mask where the method has no use for one', () =>
    withModel(linear, async (host) => {
      const groups = { x: { type: 'int64', dims: [1, 3], data: BigInt64Array.of(0n, 0n, 1n) } } as const;
      await expect(explainRow(host, 'integrated-gradients', x, { groups })).rejects.toThrow('takes no feature mask');
      await expect(explainRow(host, 'leave-one-out', x, { groups })).rejects.toThrow('takes no feature mask');
      await expect(explainRow(host, 'feature-ablation', x, { groups: { z: groups.x } })).rejects.toThrow(
        'there is a feature mask of "z"',
      );
      const { scores } = await explainRow(host, 'feature-ablation', x, { groups });
      expect(scores[0]).toBeCloseTo(1.5, 5);
    }));
});

describe('integrated gradients over several baselines', () => {
  it.each<Record<string, number>>([{}, { steps: 9 }])('are the mean of those over each, with %o', (options) =>
    withModel(smooth, async (host) => {
      const baselines = [
        [0, 0, 0],
        [1, -1, 0.5],
      ];
      const each = await Promise.all(
        baselines.map((from) => explainRow(host, 'integrated-gradients', x, { from, options: { steps: 40 } })),
      );
      const baseline = { x: { type: 'float32', dims: [2, 3], data: Float32Array.from(baselines.flat()) } } as const;
      const { scores, explanation } = await explainRow(host, 'integrated-gradients', x, { baseline, options });
      scores.forEach((score, at) =>
        expect(Math.abs(score - (each[0]!.scores[at]! + each[1]!.scores[at]!) / 2)).toBeLessThan(5e-3),
      );
      expect(Math.abs(explanation.convergenceDelta!)).toBeLessThan(0.01);
    }),
  );
});

describe('sliding windows', () => {
  it('leave alone the tokens that begin and end a text', async () => {
    const model = await ExplainableModel.open(TEXT_MODEL, { cache: false });
    for (const method of ['occlusion', 'rise']) {
      const { explanation } = await model.explain(
        { text: 'claim your free prize now' },
        { method, baseline: 'zero', options: method === 'rise' ? { n_masks: 8 } : {} },
      );
      const { data } = explanation.attributions['input_ids']!;
      expect([data[0], data.at(-1)]).toEqual([0, 0]);
      expect(data.slice(1, -1).some((score) => score !== 0)).toBe(true);
    }
    await model.release();
  });

  it('slide along the axis they are told to', async () => {
    const series = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: ['batch', 2, 3] }],
      outputs: [{ name: 'y', type: 'float32', dims: ['batch', 3] }],
      nodes: [makeNode('ReduceSum', ['x', 'channels'], ['y'], { keepdims: int(0) })],
      initializers: [['channels', numbersWeight('int64', [1], [1])]],
    });
    const inputs = { x: { type: 'float32', dims: [1, 2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) } } as const;
    await withModel(series, async (host) => {
      const target = { label: '1', indices: [1] };
      const request = { inputs, target, method: 'occlusion', options: { window: 1, axis: 2 } };
      const { explanation } = await attribute(host, request);
      // Both channels of the middle step go at once.
      expect(Array.from(explanation.attributions['x']!.data)).toEqual([0, 7, 0, 0, 7, 0]);
    });
  });
});
