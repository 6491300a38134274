import { expect, test } from 'vitest';
import { buildModel, explainRow, withModel } from './graphs.ts';
import { attributeCase, fixtures, openFixture } from './references.ts';
import type { Case } from './references.ts';

test('meaningful perturbation takes away what the answer needs and leaves the rest', async () => {
  const model = buildModel(4, (b, x) => b.matmul(x, b.constant('float32', [4, 1], [3, 0, 2, 0])));
  await withModel(model, async (host) => {
    const { scores, explanation } = await explainRow(host, 'meaningful-perturbation', [1, 1, 1, 1]);
    expect(scores[0]).toBeGreaterThan(0.9);
    expect(scores[2]).toBeGreaterThan(0.9);
    expect(scores[1]).toBeLessThan(0.1);
    expect(scores[3]).toBeLessThan(0.1);
    expect(Math.abs(Number(explanation.options['maskedValue']))).toBeLessThan(0.5);
  });
});

test('the mask of a picture takes most of the answer away, all channels of a place together', async () => {
  const fixture = fixtures().find(({ name }) => name === 'cnn')!;
  const host = await openFixture(fixture);
  const options = { cells: 4, iterations: 100, l1: 0.01 };
  const request: Case = { method: 'meaningful-perturbation', options, reference: '', scores: {} };
  const { attributions, value, baselineValue, options: found } = await attributeCase(host, fixture, request);
  const { data, dims } = attributions['x']!;
  expect(dims).toEqual(fixture.dims);
  expect(data[5]).toBe(data[69]);
  const left = (Number(found['maskedValue']) - baselineValue!) / (value - baselineValue!);
  expect(left).toBeLessThan(0.3);
  await host.release();
});

test.each(['bert', 'gpt', 'vit', 'resnet'])(
  'deep-lift and deep-lift-reveal-cancel are complete on the %s',
  async (name) => {
    const fixture = fixtures().find((each) => each.name === name)!;
    const host = await openFixture(fixture);
    for (const method of ['deep-lift', 'deep-lift-reveal-cancel']) {
      const { convergenceDelta } = await attributeCase(host, fixture, {
        method,
        options: {},
        reference: '',
        scores: {},
      });
      expect(Math.abs(convergenceDelta!)).toBeLessThan(1e-4);
    }
    await host.release();
  },
);

test.each(['bert', 'gpt', 'vit'])(
  'on the %s lrp-0 carries the relevance that attn-lrp computes as a gradient',
  async (name) => {
    const fixture = fixtures().find((each) => each.name === name)!;
    const host = await openFixture(fixture);
    const [explicit, implicit] = await Promise.all(
      ['lrp-0', 'attn-lrp'].map((method) =>
        attributeCase(host, fixture, { method, options: {}, reference: '', scores: {} }),
      ),
    );
    const [one, other] = [explicit!, implicit!].map(({ attributions }) => attributions[fixture.input]!.data);
    const largest = Math.max(...other!.map(Math.abs));
    other!.forEach((score, at) => expect(Math.abs(score - one![at]!)).toBeLessThan(2e-3 * largest));
    await host.release();
  },
);
