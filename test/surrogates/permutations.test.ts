import { expect, test } from 'vitest';
import { attribute } from '../../src/attribution/index.ts';
import { SURROGATES } from '../../src/surrogates/index.ts';
import { buildModel, explainRow, row, withModel } from '../attribution/graphs.ts';

const named = (name: string) => SURROGATES.find((method) => method.name === name) ?? name;
const WIDTH = 12;
const ANSWERS = buildModel(WIDTH, (b, x) =>
  b.softmax(b.mul(x, b.constant('float32', [1, WIDTH], [...Array(WIDTH).keys()])), -1),
);
const X = Array.from({ length: WIDTH }, (_, at) => at / 6);

test.each([
  ['shapley-sampling', { n_samples: 2 }],
  ['permutation-shap', { n_permutations: 1 }],
])('%s does not claim a standard error from a single estimate', async (name, options) => {
  await withModel(ANSWERS, async (host) => {
    const { explanation } = await explainRow(host, '', X, { method: named(name), options });
    expect(explanation.options['exact']).toBe(false);
    expect(explanation.options['standardError']).toBeNull();
  });
});

test('shapley-sampling says how many orders it ran: as many as asked for, or one more for the reverse of the last', async () => {
  await withModel(ANSWERS, async (host) => {
    const run = async (options = {}) =>
      (await explainRow(host, '', X, { method: 'shapley-sampling', options })).explanation.options;
    expect(await run()).toMatchObject({ n_samples: 26, orders: 26 });
    expect(await run({ n_samples: 25 })).toMatchObject({ orders: 26 });
    expect(Number((await run({ n_samples: 10 }))['standardError'])).toBeGreaterThan(0);
  });
});

test('partition-shap tells the inputs of a model apart before it halves any of them', async () => {
  const width = 4;
  const plain = buildModel(width, (b, x) => {
    const weights = (values: readonly number[]) => b.constant('float32', [width, 1], values);
    return b.add(b.matmul(x, weights([1, 2, 3, 4])), b.matmul('z', weights([4, 4, 4, 4])));
  });
  const { graph } = plain;
  const inputs = [...graph.inputs, { ...graph.inputs[0]!, name: 'z' }];
  await withModel({ ...plain, graph: { ...graph, inputs } }, async (host) => {
    const request = {
      inputs: { x: row([1, 1, 1, 1]), z: row([1, 1, 1, 1]) },
      baseline: { x: row([0, 0, 0, 0]), z: row([0, 0, 0, 0]) },
      target: { label: '0', indices: [0] },
      method: named('partition-shap'),
    };
    const few = (await attribute(host, { ...request, options: { max_evals: 4 } })).explanation.attributions;
    expect([...few['x']!.data]).toEqual([2.5, 2.5, 2.5, 2.5]);
    expect([...few['z']!.data]).toEqual([4, 4, 4, 4]);
    const all = (await attribute(host, request)).explanation.attributions;
    expect([...all['x']!.data]).toEqual([1, 2, 3, 4]);
    expect([...all['z']!.data]).toEqual([4, 4, 4, 4]);
  });
});
