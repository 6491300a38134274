/** Hidden states and activations by path, reduced in the graph. */
import { afterAll, expect, test } from 'vitest';
import { analyseAttention, captureLayers, captureWithOutputs } from '../../src/attention/index.ts';
import { listLayers } from '../../src/onnx/index.ts';
import { difference, inputsOf, openFixture, reference } from './references.ts';

const host = await openFixture('bert-sdpa');
const given = reference('bert-sdpa');
const tensors = inputsOf(given, host);
afterAll(() => host.release());

test('layers are captured by path: hidden states and feed-forward activations, means, norms and spans of them', async () => {
  const paths = listLayers(host.model).map(({ path }) => path);
  const state = paths.find((path) => /encoder\.layer\.0\.output\.LayerNorm/.test(path))!;
  const activation = paths.find((path) => /encoder\.layer\.1\.intermediate.*Mul_1/.test(path))!;
  const whole = await captureLayers(host, tensors, [state, activation]);
  expect(whole[state]!.dims).toEqual([2, 6, 16]);
  expect(whole[activation]!.dims).toEqual([2, 6, 24]);
  const { data } = whole[state]!;
  const means = await captureLayers(host, tensors, [state], { reduce: 'mean', span: [1, 4] });
  const byHand = Array.from({ length: 32 }, (_, at) => {
    const [row, unit] = [Math.floor(at / 16), at % 16];
    return [1, 2, 3].reduce((sum, position) => sum + data[(row * 6 + position) * 16 + unit]! / 3, 0);
  });
  expect(difference(means[state]!.data, byHand)).toBeLessThan(1e-5);
  const norms = await captureLayers(host, tensors, [state], { reduce: 'norm' });
  expect(norms[state]!.dims).toEqual([2, 6]);
  expect(norms[state]!.data[7]).toBeCloseTo(Math.hypot(...data.slice(7 * 16, 8 * 16)), 4);
  const largest = await captureLayers(host, tensors, [state], { reduce: 'largest' });
  expect(largest[state]!.data[3]).toBeCloseTo(Math.max(...Array.from(data.slice(48, 64), Math.abs)), 5);
  await expect(captureLayers(host, tensors, ['encoder.layer.9'])).rejects.toThrow(
    /no layer "encoder\.layer\.9"; nearest: /,
  );
});

test('the answer comes out of the run that captures, and is the model’s', async () => {
  const { outputs, blocks } = await captureWithOutputs(host, tensors, { values: ['entropy'], outputs: ['logits'] });
  expect(difference(outputs['logits']!.data, given.logits.data)).toBeLessThan(1e-5);
  expect(blocks[0]!.values['entropy']!.dims).toEqual([2, 4]);
});

test('whole matrices of a long input are not brought out unless a part was chosen', async () => {
  const ids = new BigInt64Array(5000).fill(5n);
  const long = Object.fromEntries(
    Object.keys(tensors).map((name) => [name, { type: 'int64' as const, dims: [1, 5000], data: ids }]),
  );
  await expect(analyseAttention(host, { inputs: long })).rejects.toThrow(
    /that would be 200,000,000 numbers: choose a part with --layer and --head/,
  );
});
