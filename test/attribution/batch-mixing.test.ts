import { describe, expect, it } from 'vitest';
import { attribute } from '../../src/attribution/index.ts';
import { int } from '../../src/onnx/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';
import { testFolder } from '../folder.ts';
import { makeModel, makeNode } from '../models.ts';

const folder = testFolder('batch-mixing');

describe('a model that looks across its batch', () => {
  it('is run one row at a time, so that steps do not mix, and so again from the cache', async () => {
    const model = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: ['batch', 3] }],
      outputs: [{ name: 'y', type: 'float32', dims: ['batch', 3] }],
      nodes: [makeNode('Softmax', ['x'], ['s'], { axis: int(0) }), makeNode('Add', ['x', 's'], ['y'])],
    });
    const file = folder.write('mixing.onnx', model);
    const x = { type: 'float32', dims: [1, 3], data: Float32Array.of(2, 3, 4) } as const;
    for (let process = 0; process < 2; process++) {
      const host = await ModelHost.open(file, { cache: folder.at('cache') });
      const { explanation } = await attribute(host, { inputs: { x }, target: { label: '1', indices: [1] } });
      // With one row softmax over the batch is 1.
      expect(explanation.value).toBeCloseTo(4, 5);
      expect(explanation.baselineValue).toBeCloseTo(1, 5);
      expect(Array.from(explanation.attributions['x']!.data)).toEqual([0, 3, 0]);
      await host.release();
    }
  });
});
