import path from 'node:path';
import { array, assert, integer, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  layerWeights,
  planeScores,
  pointsAt,
  randomizeLayers,
  rankCorrelation,
  relevanceMass,
} from '../../src/evaluation/index.ts';
import { weightTensor } from '../../src/onnx/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';

const mask = { height: 2, width: 2, data: Uint8Array.from([0, 1, 1, 0]) };

describe('a map and an object', () => {
  test('hit when the largest score lies on it, and only then', () => {
    expect(pointsAt([0, 3, 2, 1], mask)).toBe(true);
    expect(pointsAt([4, 3, 2, 1], mask)).toBe(false);
  });

  test('share the positive scores that lie on it', () => {
    expect(relevanceMass([1, 3, -5, 0], mask)).toBe(0.75);
    expect(relevanceMass([-1, -1, -1, -1], mask)).toBe(0);
  });

  test('are compared on the picture’s pixels: channels are summed, small maps enlarged with their edges on its edges', () => {
    const channels = { dims: [1, 2, 2, 2], data: Float32Array.from([1, 2, 3, 4, -1, 1, 1, 1]) };
    expect([...planeScores(channels, 2, 2)]).toEqual([0, 3, 4, 5]);
    expect([...planeScores(channels, 2, 2, true)]).toEqual([2, 3, 4, 5]);
    const small = { dims: [1, 1, 2], data: Float32Array.from([0, 4]) };
    expect([...planeScores(small, 1, 4)]).toEqual([0, 1, 3, 4]);
  });
});

test('rank correlation sees order alone, from -1 to 1', () => {
  expect(rankCorrelation([1, 2, 9], [10, 20, 21])).toBeCloseTo(1);
  expect(rankCorrelation([1, 2, 9], [3, 2, 1])).toBeCloseTo(-1);
  // scipy.stats.spearmanr([1, 2, 2, 3], [1, 3, 2, 4])
  expect(rankCorrelation([1, 2, 2, 3], [1, 3, 2, 4])).toBeCloseTo(0.9486832980505138);
  assert(
    property(array(integer({ min: -9, max: 9 }), { minLength: 3, maxLength: 20 }), (values) => {
      const other = values.map((value) => Math.exp(value));
      const same = rankCorrelation(values, other);
      expect(same === 0 || Math.abs(same - 1) < 1e-9).toBe(true);
    }),
  );
});

test('randomised layers are the last ones, with the spread of the old weights, and the same for the same seed', async () => {
  const host = await ModelHost.open(path.join(import.meta.dirname, '../vision/fixtures/convolutions.onnx'), {
    cache: false,
  });
  const names = layerWeights(host.original);
  expect(names.slice(0, 2)).toEqual(['head.weight', 'point.weight']);
  const [changed, again] = [randomizeLayers(host.original, 2, 5), randomizeLayers(host.original, 3, 5)];
  const weights = (model: typeof changed, name: string) =>
    Array.from(weightTensor(model.graph.initializers.get(name)!)!.data as Float32Array);
  expect(weights(changed, 'head.weight')).not.toEqual(weights(host.original, 'head.weight'));
  expect(weights(changed, 'conv1.weight')).toEqual(weights(host.original, 'conv1.weight'));
  expect(weights(again, 'point.weight')).toEqual(weights(changed, 'point.weight'));
  await host.release();
});
