import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attribute } from '../../src/attribution/index.ts';
import type { AttributeRequest } from '../../src/attribution/index.ts';
import { Estimates } from '../../src/programs/index.ts';
import type { ModelHost } from '../../src/runtime/index.ts';
import { SURROGATES } from '../../src/surrogates/index.ts';
import { buildModel, explainRow, withModel } from '../attribution/graphs.ts';
import { fixtures, openFixture } from '../attribution/references.ts';
import { numbersToData } from '../../src/onnx/index.ts';

const named = (name: string) => SURROGATES.find((method) => method.name === name) ?? name;
const METHODS = ['lime', 'kernel-shap', 'permutation-shap', 'partition-shap', 'shapley-sampling', 'feature-ablation'];
const sum = (width: number) =>
  buildModel(width, (b, x) => b.matmul(x, b.constant('float32', [width, 1], Array<number>(width).fill(1))));

test.each(['lime', 'kernel-shap'])(
  '%s refuses more features than it can fit numbers to, before it runs',
  async (name) => {
    const width = 60_000;
    await withModel(sum(width), async (host) => {
      let passes = 0;
      const onProgress = () => passes++;
      const run = explainRow(host, '', Array<number>(width).fill(1), { method: named(name), onProgress });
      await expect(run).rejects.toThrow(`at most 2048 features, and the input has ${width}`);
      expect(passes).toBe(0);
    });
  },
);

test('partition-shap takes as many features as a picture has elements', async () => {
  const width = 160_000;
  await withModel(sum(width), async (host) => {
    const options = { max_evals: 8 };
    const { scores } = await explainRow(host, '', Array<number>(width).fill(1), {
      method: named('partition-shap'),
      options,
    });
    expect(scores[0]).toBeCloseTo(1, 3);
    expect(scores.at(-1)).toBeCloseTo(1, 3);
  });
});

test('estimates of as many features as a picture has elements have a standard error', () => {
  const estimates = new Estimates(160_000);
  estimates.add(new Float64Array(160_000));
  estimates.add(new Float64Array(160_000).fill(2));
  expect(estimates.standardError).toBe(1);
});

describe('options that mean nothing for the input are refused', () => {
  let bert: ModelHost;
  const fixture = fixtures().find(({ name }) => name === 'bert')!;
  beforeAll(async () => {
    bert = await openFixture(fixture);
  });
  afterAll(() => bert.release());
  const text = (method: string, options: NonNullable<AttributeRequest['options']>) =>
    attribute(bert, {
      inputs: { input_ids: { type: 'int64', dims: fixture.dims, data: numbersToData('int64', fixture.data) } },
      method: named(method),
      options,
      target: { label: '1', indices: [1] },
      modality: {
        kind: 'text',
        input: 'input_ids',
        context: { words: fixture.data.map((_, at) => at), segments: fixture.data.map(() => 0) },
      },
    });

  test.each(METHODS)('by %s', async (name) => {
    await expect(text(name, { features: 'regions' })).rejects.toThrow(
      'features=regions means nothing here: the input is a text',
    );
    await expect(text(name, { regions: 3 })).rejects.toThrow('regions=3 means nothing here');
    await withModel(sum(4), async (host) => {
      const run = (request: Partial<AttributeRequest>) =>
        explainRow(host, '', [1, 2, 3, 4], { method: named(name), ...request });
      await expect(run({ options: { features: 'regions' } })).rejects.toThrow('no input is a picture ("x" is [1, 4])');
      await expect(run({ options: { regions: 3 } })).rejects.toThrow('regions=3 means nothing here');
      const groups = { x: { type: 'int64', dims: [1, 4], data: BigInt64Array.of(0n, 0n, 1n, 1n) } } as const;
      await expect(run({ groups, options: { features: 'elements' } })).rejects.toThrow('the feature masks say');
      await expect(run({ groups: { z: groups.x } })).rejects.toThrow(
        'there is a feature mask of "z", which the model does not have',
      );
      await run({ options: { features: 'elements' } });
    });
  });

  test('regions=8 is what a picture gets unless said', async () => {
    const cnn = fixtures().find(({ name }) => name === 'cnn')!;
    const host = await openFixture(cnn);
    const run = async (options: NonNullable<AttributeRequest['options']>) =>
      (
        await attribute(host, {
          inputs: { x: { type: 'float32', dims: cnn.dims, data: numbersToData('float32', cnn.data) } },
          method: 'feature-ablation',
          options,
          target: { label: '1', indices: [1] },
          modality: { kind: 'image', input: 'x', layout: 'NCHW' },
        })
      ).explanation.attributions['x']!.data;
    expect(await run({})).toEqual(await run({ regions: 8 }));
    await expect(run({ features: 'elements', regions: 4 })).rejects.toThrow('no picture is cut into regions');
    await host.release();
  });
});
