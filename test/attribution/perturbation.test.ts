import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attribute } from '../../src/attribution/index.ts';
import type { AttributeRequest } from '../../src/attribution/index.ts';
import { numbersToData } from '../../src/onnx/index.ts';
import type { ModelHost } from '../../src/runtime/index.ts';
import { fixtures, openFixture } from './references.ts';

const [mlp, cnn, bert] = ['mlp', 'cnn', 'bert'].map((name) => fixtures().find((each) => each.name === name)!);
const hosts: Record<string, ModelHost> = {};
beforeAll(async () => {
  for (const fixture of [mlp!, cnn!, bert!]) hosts[fixture.name] = await openFixture(fixture);
});
afterAll(() => Promise.all(Object.values(hosts).map((host) => host.release())));

async function explain(fixture: NonNullable<typeof mlp>, request: Partial<AttributeRequest>) {
  const tensor = { type: fixture.type, dims: fixture.dims, data: numbersToData(fixture.type, fixture.data) };
  const target = { label: '1', indices: [1] };
  const { explanation } = await attribute(hosts[fixture.name]!, {
    inputs: { [fixture.input]: tensor },
    target,
    ...request,
  });
  return explanation;
}

/** Seven tokens: two special ones around three words, the second of two pieces, the third of two. */
const text = {
  kind: 'text',
  input: 'input_ids',
  context: { words: [null, 0, 1, 1, 2, 2, null], segments: [null, 0, 0, 0, 0, 0, null] },
} as const;

describe('perturbation of a text', () => {
  test('takes whole words away and never a special token', async () => {
    const { attributions, options } = await explain(bert!, { method: 'feature-ablation', modality: text });
    const [cls, , second, third, fourth, fifth, sep] = attributions['input_ids']!.data;
    expect(options['groups']).toBe(3);
    expect([cls, sep]).toEqual([0, 0]);
    expect(second).toBe(third);
    expect(fourth).toBe(fifth);
  });

  test('takes single tokens away when asked', async () => {
    const { options } = await explain(bert!, { method: 'leave-one-out', modality: text });
    expect(options['groups']).toBe(5);
  });

  test('shares a word’s Shapley value among its pieces, so that scores add up', async () => {
    const { attributions, convergenceDelta } = await explain(bert!, { method: 'exact-shapley', modality: text });
    expect(attributions['input_ids']!.data[2]).toBe(attributions['input_ids']!.data[3]);
    expect(Math.abs(convergenceDelta!)).toBeLessThan(1e-5);
  });
});

test('sampled Shapley values add up and come close to the exact ones', async () => {
  const exact = await explain(cnn!, { method: 'exact-shapley', options: { regions: 3 }, modality: image });
  // Two orders of nine regions are less work than all 512 coalitions, so they are sampled.
  const sampled = await explain(cnn!, {
    method: 'shapley-sampling',
    options: { regions: 3, n_samples: 50 },
    modality: image,
  });
  expect(sampled.options['exact']).toBe(false);
  expect(Math.abs(sampled.convergenceDelta!)).toBeLessThan(1e-5);
  const largest = Math.max(...exact.attributions['x']!.data.map(Math.abs));
  sampled.attributions['x']!.data.forEach((score, index) =>
    expect(Math.abs(score - exact.attributions['x']!.data[index]!)).toBeLessThan(0.25 * largest),
  );
});
const image = { kind: 'image', input: 'x', layout: 'NCHW' } as const;

test('regions of a picture go through all channels', async () => {
  const { attributions, options } = await explain(cnn!, {
    method: 'feature-ablation',
    options: { regions: 2 },
    modality: image,
  });
  const { data } = attributions['x']!;
  expect(options['groups']).toBe(4);
  expect(data[0]).toBe(data[64]);
  expect(new Set(data).size).toBe(4);
});

test('overlapping windows of an occlusion are averaged, or summed when asked', async () => {
  const options = { window: 3, stride: 1 };
  const mean = (await explain(cnn!, { method: 'occlusion', options })).attributions['x']!.data;
  const sum = (await explain(cnn!, { method: 'occlusion', options: { ...options, overlap: 'sum' } })).attributions['x']!
    .data;
  // The corner is in one window, the middle in nine.
  expect(sum[0]).toBeCloseTo(mean[0]!, 6);
  expect(sum[27]).toBeCloseTo(9 * mean[27]!, 4);
});

test('permuting features takes values from the rows of the baseline', async () => {
  const baseline = { x: { type: 'float32', dims: [4, 6], data: numbersToData('float32', mlp!.baselines!) } } as const;
  const permuted = await explain(mlp!, { method: 'feature-permutation', baseline });
  const each = await Promise.all(
    [0, 1, 2, 3].map((row) =>
      explain(mlp!, {
        method: 'feature-ablation',
        baseline: {
          x: { type: 'float32', dims: [1, 6], data: baseline.x.data.slice(6 * row, 6 * row + 6) as Float32Array },
        },
      }),
    ),
  );
  permuted.attributions['x']!.data.forEach((score, index) =>
    expect(score).toBeCloseTo(
      each.reduce((sum, { attributions }) => sum + attributions['x']!.data[index]! / 4, 0),
      5,
    ),
  );
});

test.each([
  [{ method: 'exact-shapley', options: { regions: 8 }, modality: image }, 'at most 16 features, and the input has 64'],
  [{ method: 'feature-permutation' }, 'give a baseline of at least 2 rows'],
  [{ method: 'occlusion', options: { window: 0 } }, 'must be a whole number of at least 1'],
  [{ method: 'feature-ablation', options: { features: 'words' } }, 'features=words is for texts'],
  [{ method: 'feature-ablation', options: { features: 'letters' } }, 'must be one of auto, words'],
] as const)('%o is refused: %s', async (request, message) => {
  await expect(explain(cnn!, request)).rejects.toThrow(message);
});
