import { expect, test } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { ProgramRunner, findFeatures } from '../../src/programs/index.ts';
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

test.each(['zero', 'pad'] as const)(
  'tokens masked by 0 and 1 answer as under any mask, and as the model with other ids: %s',
  async (baseline) => {
    const model = await ExplainableModel.open('zoo/text-spam', { cache: false, threads: 1 });
    try {
      const { tensors } = await model.encode({ text: 'Claim your free prize now, dear friend' });
      const ids = tensors['input_ids']!;
      const count = ids.dims[1]!;
      const padded = { ...ids, data: new BigInt64Array(count) };
      const features = findFeatures(model.host.model);
      const masks = Array.from({ length: 12 }, (_, row) =>
        Float32Array.from({ length: count }, (_each, token) => Number(((row * 7 + 3) * (token + 1)) % 5 > 1)),
      );
      const context = {
        host: model.host,
        feeds: tensors,
        baseline: baseline === 'zero' ? ('zero' as const) : { input_ids: padded },
        groups: { input_ids: { ...ids, data: BigInt64Array.from({ length: count }, (_, at) => BigInt(at)) } },
      };
      const answers = async (binary: boolean) => {
        const runner = await ProgramRunner.open(context, {
          output: 'logits',
          inputs: features,
          features,
          rows: 'masks',
          binary,
          baseline: baseline === 'zero' ? 'zero' : 'given',
        });
        const target = { type: 'float32', dims: [1, 2], data: Float32Array.of(-1, 1) } as const;
        return (await runner.run({ weights: masks.map(() => 1), masks: (row) => masks[row]! }, target)).values;
      };
      const [fast, plain] = [await answers(true), await answers(false)];
      fast.forEach((value, row) => expect(value).toBeCloseTo(plain[row]!, 4));
      expect(new Set(fast.map((value) => value.toFixed(3))).size).toBeGreaterThan(3);
      if (baseline === 'zero') return;
      const session = await model.host.openOriginal();
      const data = BigInt64Array.from(ids.data as BigInt64Array, (id, token) => (masks[2]![token] === 1 ? id : 0n));
      const { logits } = await session.run({ ...tensors, input_ids: { ...ids, data } });
      const [ham, spam] = logits!.data as Float32Array;
      expect(fast[2]).toBeCloseTo(spam! - ham!, 4);
      await session.release();
    } finally {
      await model.release();
    }
  },
);
