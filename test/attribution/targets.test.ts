/** What is explained need not be one element of the output. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExplainableModel, attribute } from '../../src/attribution/index.ts';
import type { AttributeRequest } from '../../src/attribution/index.ts';
import { UsageError, readModel } from '../../src/onnx/index.ts';
import type { DenseTensor } from '../../src/onnx/index.ts';
import type { ModelHost } from '../../src/runtime/index.ts';
import { parseTarget, targetValue } from '../../src/tasks/index.ts';
import { testFolder } from '../folder.ts';
import { makeNode } from '../models.ts';
import { fixtures, openFixture } from './references.ts';

const fixture = fixtures().find(({ name }) => name === 'mlp')!;
const x: DenseTensor = { type: 'float32', dims: fixture.dims, data: Float32Array.from(fixture.data) };
const answer: DenseTensor = { type: 'float32', dims: [1, 3], data: Float32Array.from(fixture.answer) };
let host: ModelHost;
beforeAll(async () => {
  host = await openFixture(fixture);
});
afterAll(() => host.release());

async function scoresOf(target: AttributeRequest['target'], method = 'input-x-gradient') {
  const { explanation } = await attribute(host, { inputs: { x }, method, target });
  return { ...explanation, scores: [...explanation.attributions['x']!.data] };
}
const close = (left: readonly number[], right: readonly number[]) =>
  left.forEach((value, index) => expect(value).toBeCloseTo(right[index]!, 5));

test('the scores of a weighted sum are the weighted sum of the scores', async () => {
  const [one, two, both] = [
    await scoresOf(parseTarget('1', answer)),
    await scoresOf(parseTarget('2', answer)),
    await scoresOf(parseTarget('2*1 - 0.5*2', answer)),
  ];
  close(
    both.scores,
    one.scores.map((score, index) => 2 * score - 0.5 * two.scores[index]!),
  );
  const weights: DenseTensor = { type: 'float32', dims: [1, 3], data: Float32Array.of(0, 2, -0.5) };
  close((await scoresOf({ label: 'weighted', weights })).scores, both.scores);
  const built = await scoresOf({
    label: 'made in the graph',
    name: 'weighted',
    build: (b, y) => b.mul(y, b.constant('float32', [3], [0, 2, -0.5])),
  });
  close(built.scores, both.scores);
  expect(built.value).toBeCloseTo(both.value, 5);
  expect(built.target.label).toBe('made in the graph');
});

test.each(['integrated-gradients', 'deep-lift', 'exact-shapley', 'kernel-shap'])(
  '%s of a log-probability adds up to its change',
  async (method) => {
    const target = parseTarget('logprob(1)', answer);
    const { value, convergenceDelta } = await scoresOf(target, method);
    expect(value).toBeCloseTo(targetValue(target, answer), 5);
    expect(Math.abs(convergenceDelta!)).toBeLessThan(0.02);
  },
);

test('the gradient of a probability is p times that of its logarithm', async () => {
  const [p, log] = [await scoresOf(parseTarget('prob(0)', answer)), await scoresOf(parseTarget('logprob(0)', answer))];
  close(
    p.scores,
    log.scores.map((score) => p.value * score),
  );
});

test('weights of another shape, or all zero, are refused', async () => {
  const weights = (...data: number[]): DenseTensor => ({
    type: 'float32',
    dims: [1, data.length],
    data: Float32Array.from(data),
  });
  await expect(scoresOf({ label: 'w', weights: weights(1, 2) })).rejects.toThrow(
    'the weights of target "w" are [1, 2], but output "logits" is [1, 3]',
  );
  await expect(scoresOf({ label: 'w', weights: weights(0, 0, 0) })).rejects.toThrow('all zero');
});

test('a neuron takes no target beside it, but where the method goes from one through the other', async () => {
  const model = await ExplainableModel.open('test/attribution/fixtures/mlp.onnx', { cache: false });
  const place = { layer: 'layers.layers.0.Gemm', neuron: [1] };
  const explain = (method: string) => model.explain({ tensors: { x } }, { ...place, method, target: '1' });
  await expect(explain('saliency')).rejects.toThrow(UsageError);
  expect((await explain('neuron-conductance')).explanation.target.label).toBe('1');
  await model.release();
});

test('a surrogate goes by its name', async () => {
  const model = await ExplainableModel.open('test/attribution/fixtures/mlp.onnx', { cache: false });
  const { explanation } = await model.explain({ tensors: { x } }, { method: 'lime', target: 'logprob(2)' });
  expect(explanation.method).toBe('lime');
  expect(explanation.target).toMatchObject({ label: 'logprob(2)', scale: 'log-probability' });
  await model.release();
});

const multiLabel = testFolder('multi-label');

describe('a target over several outputs', () => {
  const folder = testFolder('targets');
  let model: ExplainableModel;
  beforeAll(async () => {
    const given = readModel(readFileSync('test/attribution/fixtures/mlp.onnx'));
    const hidden = given.graph.nodes.findLast(({ operator }) => operator === 'Relu')!;
    // The same value under a name of its own, as an output.
    const nodes = given.graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((name) => (name === hidden.outputs[0] ? 'hidden.last' : name)),
      outputs: node.outputs.map((name) => (name === hidden.outputs[0] ? 'hidden.last' : name)),
    }));
    const outputs = [...given.graph.outputs, { name: 'hidden.last', type: 'float32' as const, dims: ['batch', 8] }];
    const file = folder.write('two.onnx', { ...given, graph: { ...given.graph, nodes, outputs } });
    model = await ExplainableModel.open(file, { cache: false });
  });
  afterAll(() => model.release());

  const explain = async (target: string, options: { output?: string; method?: string } = {}) => {
    const request = { method: 'input-x-gradient', target, ...options };
    const { explanation } = await model.explain({ tensors: { x } }, request);
    return { ...explanation, scores: [...explanation.attributions['x']!.data] };
  };

  test('has the weighted sum of their scores', async () => {
    const [logit, unit] = [await explain('1'), await explain('sum(2:5)', { output: 'hidden.last' })];
    const both = await explain('2*logits[1] - hidden.last[2:5]');
    close(
      both.scores,
      logit.scores.map((score, index) => 2 * score - unit.scores[index]!),
    );
    expect(both.value).toBeCloseTo(2 * logit.value - unit.value, 5);
    expect(both.target.label).toBe('2*logits[1] - hidden.last[2:5]');
    close(
      (await explain('mean(hidden.last[2:5])')).scores,
      unit.scores.map((score) => score / 3),
    );
  });

  test('takes the probabilities of each output by itself, as a span of an answer needs', async () => {
    const [one, other] = [await explain('logprob(1)'), await explain('logprob(-2)', { output: 'hidden.last' })];
    const both = await explain('logprob(logits[1]) + logprob(hidden.last[-2])');
    close(
      both.scores,
      one.scores.map((score, index) => score + other.scores[index]!),
    );
    const integrated = await explain('logprob(logits[1]) + logprob(hidden.last[-2])', {
      method: 'integrated-gradients',
    });
    expect(integrated.value).toBeCloseTo(one.value + other.value, 5);
    expect(Math.abs(integrated.convergenceDelta!)).toBeLessThan(0.02);
    expect((await explain('logits[0] + hidden.last[1]', { method: 'exact-shapley' })).scores).toHaveLength(6);
  });

  test.each([
    [
      'logits[3] + hidden.last[0]',
      'target "logits[3] + hidden.last[0]": "3" is no range of axis 1, which has indices 0 to 2',
    ],
    ['logits[1] + 2', 'target "logits[1] + 2": "2" should be an output with a place in it, such as logits[0]'],
    ['logits[1', 'target "logits[1": a parenthesis or bracket is missing'],
  ])('is refused in one line where it makes no sense: %s', async (target, message) => {
    await expect(explain(target)).rejects.toThrow(message);
  });

  test('names its outputs itself', async () => {
    await expect(explain('logits[1]', { output: 'logits' })).rejects.toThrow(UsageError);
  });
});

test('labels that a sigmoid answers for one by one keep their own probabilities', async () => {
  const given = readModel(readFileSync('test/attribution/fixtures/mlp.onnx'));
  const nodes = [...given.graph.nodes, makeNode('Sigmoid', ['logits'], ['labels'])];
  const outputs = [{ name: 'labels', type: 'float32' as const, dims: ['batch', 3] }];
  const file = multiLabel.write('labels.onnx', { ...given, graph: { ...given.graph, nodes, outputs } });
  const model = await ExplainableModel.open(file, { cache: false });
  const { explanation } = await model.explain({ tensors: { x } }, { method: 'saliency' });
  await model.release();
  const expected = fixture.answer.map((logit) => 1 / (1 + Math.exp(-logit))).sort((a, b) => b - a);
  close(
    explanation.predictions!.map(({ value }) => value),
    expected,
  );
});
