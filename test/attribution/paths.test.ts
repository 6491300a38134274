import { afterAll, beforeAll, expect, test } from 'vitest';
import { attribute } from '../../src/attribution/index.ts';
import type { AttributeRequest } from '../../src/attribution/index.ts';
import { numbersToData } from '../../src/onnx/index.ts';
import type { ModelHost } from '../../src/runtime/index.ts';
import { makeModel, makeNode } from '../models.ts';
import { buildModel, explainRow, withModel } from './graphs.ts';
import { fixtures, openFixture } from './references.ts';

const [cnn, bert] = ['cnn', 'bert'].map((name) => fixtures().find((each) => each.name === name)!);
const hosts: Record<string, ModelHost> = {};
beforeAll(async () => {
  for (const fixture of [cnn!, bert!]) hosts[fixture.name] = await openFixture(fixture);
});
afterAll(() => Promise.all(Object.values(hosts).map((host) => host.release())));

async function explain(fixture: NonNullable<typeof cnn>, request: Partial<AttributeRequest>) {
  const tensor = { type: fixture.type, dims: fixture.dims, data: numbersToData(fixture.type, fixture.data) };
  const target = { label: '1', indices: [1] };
  const { explanation } = await attribute(hosts[fixture.name]!, {
    inputs: { [fixture.input]: tensor },
    target,
    ...request,
  });
  return explanation;
}

test('blur-ig adds up to the change from the blurred picture to the sharp one', async () => {
  const { convergenceDelta, value, baselineValue } = await explain(cnn!, {
    method: 'blur-ig',
    options: { steps: 400, max_sigma: 4 },
  });
  expect(Math.abs(value - baselineValue!)).toBeGreaterThan(0.1);
  expect(Math.abs(convergenceDelta!)).toBeLessThan(0.02 * Math.abs(value - baselineValue!));
});

test('blur-ig starts from the same blurred picture however many steps lead away from it', async () => {
  const start = async (steps: number) =>
    (await explain(cnn!, { method: 'blur-ig', options: { steps, max_sigma: 2 } })).baselineValue!;
  const few = await start(2);
  expect(await start(50)).toBeCloseTo(few, 5);
  expect(await start(300)).toBeCloseTo(few, 5);
});

test('blur-ig refuses a target before it blurs anything, and can be aborted between blurs', async () => {
  const tall = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 3, 160, 160] }],
    outputs: [{ name: 'y', type: 'float32', dims: ['batch', 3] }],
    nodes: [makeNode('GlobalAveragePool', ['x'], ['p']), makeNode('Flatten', ['p'], ['y'])],
  });
  const inputs = { x: { type: 'float32', dims: [1, 3, 160, 160], data: new Float32Array(3 * 160 * 160) } } as const;
  await withModel(tall, async (host) => {
    const request = { inputs, method: 'blur-ig', options: { steps: 2000 } };
    const started = performance.now();
    await expect(attribute(host, { ...request, target: { label: '9', indices: [9] } })).rejects.toThrow('9');
    const controller = new AbortController();
    const onProgress = () => controller.abort(new Error('enough'));
    const aborted = attribute(host, {
      ...request,
      target: { label: '0', indices: [0] },
      signal: controller.signal,
      onProgress,
    });
    await expect(aborted).rejects.toThrow('enough');
    // All 4000 blurs take minutes.
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});

test('guided-ig adds up to the change from the baseline', async () => {
  const { convergenceDelta, value, baselineValue } = await explain(cnn!, {
    method: 'guided-ig',
    options: { steps: 400 },
  });
  expect(Math.abs(convergenceDelta!)).toBeLessThan(0.05 * Math.abs(value - baselineValue!));
});

test('of a linear model guided-ig gives weight times difference', async () => {
  const model = buildModel(4, (b, x) => b.matmul(x, b.constant('float32', [4, 1], [0.5, -1, 2, 0.25])));
  await withModel(model, async (host) => {
    const { scores } = await explainRow(host, 'guided-ig', [1, 2, -1, 3], {
      from: [0.5, 0, 1, 1],
      options: { steps: 50 },
    });
    [0.25, -2, -4, 0.5].forEach((expected, at) => expect(scores[at]).toBeCloseTo(expected, 4));
  });
});

test('the interaction of a product is shared by its pair and by both diagonals', async () => {
  // f = x0 x1 + x2^3: G01 = G10 = x0 x1 / 4, and x2 stands alone.
  const model = buildModel(3, (b, x) => {
    const column = (at: number) => b.slice(x, b.int64s([at]), b.int64s([at + 1]), [1]);
    return b.add(b.mul(column(0), column(1)), b.mul(column(2), b.square(column(2))));
  });
  await withModel(model, async (host) => {
    const { explanation } = await attribute(host, {
      inputs: { x: { type: 'float32', dims: [1, 3], data: Float32Array.from([2, 3, -1]) } },
      method: 'integrated-hessians',
      target: { label: '0', indices: [0] },
    });
    const { dims, data } = explanation.attributions['x pairs']!;
    expect(dims).toEqual([3, 3]);
    [1.5, 1.5, 0, 1.5, 1.5, 0, 0, 0, -1].forEach((expected, at) => expect(data[at]).toBeCloseTo(expected, 3));
    expect(Math.abs(explanation.convergenceDelta!)).toBeLessThan(1e-3);
  });
});

test('rows of integrated-hessians sum to integrated gradients, for the tokens of a transformer', async () => {
  const options = { steps: 40 };
  const pairs = (await explain(bert!, { method: 'integrated-hessians', options })).attributions['input_ids pairs']!;
  const single = (await explain(bert!, { method: 'integrated-gradients', options: { steps: 200 } })).attributions[
    'input_ids'
  ]!;
  expect(pairs.dims).toEqual([7, 7]);
  const largest = Math.max(...single.data.map(Math.abs));
  single.data.forEach((score, at) => {
    const row = Array.from(pairs.data.slice(7 * at, 7 * at + 7)).reduce((sum, each) => sum + each, 0);
    expect(Math.abs(row - score)).toBeLessThan(0.03 * largest);
  });
  // Interactions have no direction.
  expect(pairs.data[1]).toBeCloseTo(pairs.data[7]!, 4);
});

test('discretized-ig adds up with enough points, and walks from baseline tokens only', async () => {
  const baseline = {
    input_ids: { type: 'int64', dims: bert!.dims, data: numbersToData('int64', bert!.baseline) },
  } as const;
  const { convergenceDelta, value, baselineValue, attributions } = await explain(bert!, {
    method: 'discretized-ig',
    options: { steps: 15, factor: 40 },
    baseline,
  });
  expect(attributions['input_ids']!.dims).toEqual(bert!.dims);
  expect(Math.abs(convergenceDelta!)).toBeLessThan(0.05 * Math.abs(value - baselineValue!));
  const plain = await explain(bert!, { method: 'integrated-gradients', baseline });
  expect([value, baselineValue]).toEqual([expect.closeTo(plain.value, 4), expect.closeTo(plain.baselineValue!, 4)]);
  await expect(explain(bert!, { method: 'discretized-ig' })).rejects.toThrow('needs a baseline of tokens');
  await expect(explain(cnn!, { method: 'discretized-ig' })).rejects.toThrow('is for models of token ids alone');
});

test('rise scores a place by the mean answer when it is kept', async () => {
  const options = { n_masks: 200, cells: 3 };
  const first = await explain(cnn!, { method: 'rise', options, seed: 1 });
  expect(first.attributions['x']!.dims).toEqual(cnn!.dims);
  // All channels of a place share a mask.
  expect(first.attributions['x']!.data[0]).toBe(first.attributions['x']!.data[64]);
  expect((await explain(cnn!, { method: 'rise', options, seed: 1 })).attributions).toEqual(first.attributions);
});

test.each([
  [bert!, { method: 'blur-ig' }, 'is for models of one floating-point input'],
  [bert!, { method: 'guided-ig' }, 'is for models of one floating-point input'],
  [cnn!, { method: 'guided-ig', options: { fraction: 0 } }, 'must be a number above 0'],
])('%#: refused', async (fixture, request, message) => {
  await expect(explain(fixture, request)).rejects.toThrow(message);
});

test('integrated gradients go on while errors of features cancel in the sum', async () => {
  // sigmoid(200 (x0 - 0.53)) - sigmoid(200 (x1 - 0.53)): steep where none of the first points lies.
  const model = buildModel(2, (b, x) => {
    const moved = b.op('Sigmoid', [
      b.mul(b.sub(x, b.constant('float32', [], [0.53])), b.constant('float32', [], [200])),
    ]);
    return b.matmul(moved, b.constant('float32', [2, 1], [1, -1]));
  });
  await withModel(model, async (host) => {
    const { scores, explanation } = await explainRow(host, 'integrated-gradients', [1, 1]);
    [1, -1].forEach((score, at) => expect(Math.abs(scores[at]! - score)).toBeLessThan(0.05));
    expect(explanation.options['steps']).toBeGreaterThan(100);
  });
});

test('idgi and integrated-hessians say when their scores do not add up', async () => {
  const kinked = buildModel(2, (b, x) => b.op('Relu', [b.sub(b.sum(x, [1], true), b.constant('float32', [], [1]))]));
  await withModel(kinked, async (host) => {
    const lost = await explainRow(host, 'idgi', [1, 1], { options: { n_steps: 3 } });
    expect(Math.abs(lost.explanation.convergenceDelta!)).toBeGreaterThan(0.2);
    expect(lost.explanation.warnings.join()).toMatch(/do not add up: .*gradient is zero/);
    const { explanation } = await explainRow(host, 'integrated-hessians', [1, 1]).catch(async () => {
      const { explanation } = await attribute(host, {
        inputs: { x: { type: 'float32', dims: [1, 2], data: Float32Array.of(1, 1) } },
        method: 'integrated-hessians',
        target: { label: '0', indices: [0] },
      });
      return { explanation };
    });
    expect(explanation.warnings.join()).toMatch(/do not add up: .*second derivative/);
  });
});
