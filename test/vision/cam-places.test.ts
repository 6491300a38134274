import path from 'node:path';
import { array, assert, asyncProperty, double } from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attribute } from '../../src/attribution/index.ts';
import type { AttributeRequest } from '../../src/attribution/index.ts';
import { sumOfScores } from '../../src/explanation/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';

const FOLDER = path.join(import.meta.dirname, 'fixtures');
const hosts: Record<string, ModelHost> = {};
beforeAll(async () => {
  for (const name of ['convolutions', 'norms', 'vit'])
    hosts[name] = await ModelHost.open(path.join(FOLDER, `${name}.onnx`), { cache: false, threads: 1 });
  hosts['bert'] = await ModelHost.open(path.join(FOLDER, '../../attribution/fixtures/bert.onnx'), { cache: false });
});
afterAll(() => Promise.all(Object.values(hosts).map((host) => host.release())));

const picture = (values: readonly number[] = Array.from({ length: 768 }, (_, at) => Math.sin(at * at))) => ({
  x: { type: 'float32', dims: [1, 3, 16, 16], data: Float32Array.from(values) } as const,
});

const explain = async (name: string, request: Partial<AttributeRequest>) =>
  (await attribute(hosts[name]!, { inputs: picture(), target: { label: '1', indices: [1] }, ...request })).explanation;

describe('where a class activation map is drawn', () => {
  test('is the norm before the last attention of a ViT that answers from its CLS token', async () => {
    const { attributions } = await explain('vit', { method: 'grad-cam' });
    expect(Object.keys(attributions)).toEqual(['layers.1.norm1.LayerNormalization']);
    expect(attributions['layers.1.norm1.LayerNormalization']!.dims).toEqual([1, 4, 4]);
  });

  test('is no layer without positions', async () => {
    await expect(explain('convolutions', { method: 'grad-cam', layer: 'head.Gemm' })).rejects.toThrow(
      'layer "head.Gemm" is [1, 4], not a map of channels over positions; leave --layer out',
    );
  });

  test('is not in a text', async () => {
    const ids = { type: 'int64', dims: [1, 3], data: BigInt64Array.from([1n, 2n, 3n]) } as const;
    await expect(explain('bert', { method: 'grad-cam', inputs: { input_ids: ids } })).rejects.toThrow(
      'grad-cam draws a map over a picture, but the model has no input of four axes',
    );
  });

  test('takes no neuron', async () => {
    const request = { method: 'grad-cam', layer: 'relu5.Relu', neuron: [0, 1, 1] };
    await expect(explain('convolutions', request)).rejects.toThrow('grad-cam scores a whole layer: leave --neuron out');
  });
});

test('cam refuses a model without its head and says what stands there', async () => {
  await expect(explain('norms', { method: 'cam' })).rejects.toThrow(
    /cam needs global average pooling and one linear layer behind the layer, but behind "act3.Elu" come AveragePool, Flatten, Gemm, Tanh/,
  );
});

test('finer-cam refuses what is not one class', async () => {
  const target = { label: '1 - 0', indices: [1], minus: [0] };
  await expect(explain('convolutions', { method: 'finer-cam', target })).rejects.toThrow(
    'give a class of a classifier',
  );
});

test('maps of hires-cam without the relu sum to what a linear head makes of the layer', async () => {
  const value = async (values: readonly number[]) => {
    const request = { method: 'hires-cam', options: { relu: false }, inputs: picture(values) };
    const { attributions, value } = await explain('convolutions', request);
    return value - sumOfScores(attributions);
  };
  const bias = await value(Array<number>(768).fill(0));
  await assert(
    asyncProperty(
      array(double({ min: -3, max: 3, noNaN: true }), { minLength: 768, maxLength: 768 }),
      async (values) => {
        expect(await value(values)).toBeCloseTo(bias, 4);
      },
    ),
    { numRuns: 8 },
  );
});

describe('the model', () => {
  const chosen = { target: () => ({ label: '1', indices: [1] }) };
  const passes = async (request: Partial<AttributeRequest>) => {
    await explain('convolutions', request);
    return (await explain('convolutions', request)).runtime.passes;
  };

  test('runs once for a target that is known, down to the layer and back', async () => {
    expect(await passes({ method: 'grad-cam' })).toBe(1);
  });

  test('runs once for six copies of the picture, which the answer is one of', async () => {
    expect(await passes({ method: 'grad-cam', options: { aug_smooth: true } })).toBe(6);
  });

  test('runs once for a target that its answer chooses, and again only behind the layer', async () => {
    expect(await passes({ method: 'grad-cam', ...chosen })).toBe(2);
  });

  test.each(['grad-cam', 'layer-cam', 'eigen-cam', 'shapley-cam'])(
    'gives the same map by %s either way',
    async (method) => {
      const maps = await Promise.all(
        [{}, chosen].map(
          async (how) => Object.values((await explain('convolutions', { method, ...how })).attributions)[0]!,
        ),
      );
      expect(maps[0]!.dims).toEqual(maps[1]!.dims);
      maps[0]!.data.forEach((each, at) => expect(each).toBeCloseTo(maps[1]!.data[at]!, 5));
    },
  );
});
