import { describe, expect, it } from 'vitest';
import { attribute } from '../../src/attribution/index.ts';
import { numbersToData, numbersWeight } from '../../src/onnx/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';
import { testFolder } from '../folder.ts';
import { makeModel, makeNode } from '../models.ts';

const folder = testFolder('half');

describe('a model in half precision', () => {
  it('is explained in float32, with its own inputs and baselines in float16', async () => {
    const model = makeModel({
      inputs: [{ name: 'x', type: 'float16', dims: ['batch', 3] }],
      outputs: [{ name: 'y', type: 'float16', dims: ['batch', 2] }],
      nodes: [makeNode('MatMul', ['x', 'w'], ['m']), makeNode('Relu', ['m'], ['y'])],
      initializers: [['w', numbersWeight('float16', [3, 2], [1, 2, 3, -4, 0.5, 1])]],
    });
    const host = await ModelHost.open(folder.write('half.onnx', model), { cache: false });
    const row = (values: number[]) =>
      ({ type: 'float16', dims: [1, 3], data: numbersToData('float16', values) }) as const;
    const target = { label: '0', indices: [0] };
    for (const baseline of ['zero', { x: row([0, 0, 0]) }] as const) {
      const { explanation } = await attribute(host, {
        inputs: { x: row([0.5, 1, 2]) },
        target,
        baseline,
        options: { steps: 8 },
      });
      expect(explanation.value).toBeCloseTo(4.5, 2);
      expect(Array.from(explanation.attributions['x']!.data, (score) => Number(score.toFixed(2)))).toEqual([0.5, 3, 1]);
    }
    await host.release();
  });
});
