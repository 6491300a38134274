/** Interventions and the tests of the debate on a model whose attention and answer are known in closed form. */
import { array, assert, double, property } from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import {
  ablateEdges,
  ablateHeads,
  ablateUniform,
  adversarialAttention,
  correlateAttention,
  directAttribution,
  eraseTopAttended,
  jensenShannon,
  kendallTau,
  logitLens,
  patch,
  pruningCurve,
  totalVariation,
} from '../../src/attention/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';
import { testFolder } from '../folder.ts';
import { perceptron } from '../handmade.ts';
import { WORTH, attentive } from './attentive.ts';

const folder = testFolder('debate');
const hosts: ModelHost[] = [];
afterAll(async () => {
  for (const host of hosts) await host.release();
});

async function open(name: string, model: Parameters<typeof folder.write>[1]): Promise<ModelHost> {
  const host = await ModelHost.open(folder.write(`${name}.onnx`, model), { cache: false, threads: 1 });
  hosts.push(host);
  return host;
}

const subject = (ids: readonly number[]) => ({
  inputs: { input_ids: { type: 'int64', dims: [1, ids.length], data: BigInt64Array.from(ids, BigInt) } as const },
});
const target = { label: '1', indices: [1] };
const softmax = (scores: readonly number[]) => {
  const powers = scores.map(Math.exp);
  const sum = powers.reduce((left, right) => left + right, 0);
  return powers.map((power) => power / sum);
};
const SCORES = [0.3, 1, -0.5, 2, 0];
const answer = (ids: readonly number[], attention: readonly number[]) =>
  5 * ids.reduce((sum, id, at) => sum + attention[at]! * WORTH[id]!, 0);
const IDS = [0, 1, 2, 3, 4];
const ATTENTION = softmax(SCORES);
const VALUE = answer(IDS, ATTENTION);
const only = (data: ArrayLike<number>) => Array.from(data);

describe('of one head whose attention is known,', () => {
  test('taking the head out leaves nothing, and its mean what the mean position reads', async () => {
    const host = await open('heads', attentive(SCORES));
    const zero = await ablateHeads(host, { subject: subject(IDS), target });
    expect(zero.value).toBeCloseTo(VALUE, 4);
    expect(zero.tables[0]!.measures['effect']!.data[0]).toBeCloseTo(-VALUE, 4);
    // All positions read alike here, so the mean over them changes nothing.
    const mean = await ablateHeads(host, { subject: subject(IDS), by: 'mean', target });
    expect(mean.tables[0]!.measures['effect']!.data[0]).toBeCloseTo(0, 4);
  });

  test('an edge cut leaves the softmax of the rest, or without scaling the rest as it was', async () => {
    const host = await open('edges', attentive(SCORES));
    for (const renormalize of [true, false]) {
      const found = await ablateEdges(host, { subject: subject(IDS), target, query: 0, renormalize });
      const expected = IDS.map((_, key) => {
        const rest = ATTENTION.map((p, at) => (at === key ? 0 : p));
        const sum = renormalize ? 1 - ATTENTION[key]! : 1;
        return (
          answer(
            IDS,
            rest.map((p) => p / sum),
          ) - VALUE
        );
      });
      only(found.tables[0]!.measures['effect']!.data).forEach((effect, key) => {
        expect(effect).toBeCloseTo(expected[key]!, 4);
      });
    }
  });

  test('edges of queries that the answer is not read from do nothing', async () => {
    const host = await open('others', attentive(SCORES));
    const found = await ablateEdges(host, { subject: subject(IDS), target, query: 3 });
    for (const effect of only(found.tables[0]!.measures['effect']!.data)) expect(effect).toBeCloseTo(0, 5);
  });

  test('uniform attention reads the mean', async () => {
    const host = await open('uniform', attentive(SCORES));
    const found = await ablateUniform(host, { subject: subject(IDS), target });
    const [effect, variation] = only(found.tables[0]!.measures['uniform']!.data);
    const even = answer(IDS, Array(5).fill(0.2) as number[]);
    expect(effect).toBeCloseTo(even - VALUE, 4);
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
    expect(variation).toBeCloseTo(Math.abs(sigmoid(even) - sigmoid(VALUE)), 5);
  });

  test('patching a word restores what attention reads of it, and nothing at once where words agree', async () => {
    const host = await open('patch', attentive(SCORES));
    const corrupted = [0, 1, 2, 4, 4];
    const found = await patch(host, { clean: subject(IDS), corrupted: subject(corrupted), target });
    expect(only(found.tables[0]!.measures['normalised']!.data).map((each) => Math.round(each * 1e4) / 1e4)).toEqual([
      0, 0, 0, 1, 0,
    ]);
    const pattern = await patch(host, { clean: subject(IDS), corrupted: subject(corrupted), what: 'pattern', target });
    expect(pattern.tables[0]!.measures['difference']!.data[0]).toBeCloseTo(
      answer(corrupted, ATTENTION) - answer(corrupted, softmax(corrupted.map((id) => SCORES[id]!))),
      4,
    );
  });

  test('the lens reads nothing before attention and the answer after it; direct attribution gives all to the head', async () => {
    const host = await open('lens', attentive(SCORES));
    const lens = await logitLens(host, { subject: subject(IDS), target, classes: ['no', 'yes'] });
    const [before, after] = only(lens.tables[0]!.measures['logit']!.data);
    expect([before, Math.abs(after! - VALUE) < 1e-4]).toEqual([0, true]);
    expect(lens.tables[0]!.texts).toEqual(['no', VALUE > 0 ? 'yes' : 'no']);
    const direct = await directAttribution(host, { subject: subject(IDS), target });
    expect(direct.tables[1]!.measures['contribution']!.data[0]).toBeCloseTo(VALUE, 4);
    expect(Math.abs(direct.figures['gap']!)).toBeLessThan(1e-5);
  });

  test('the pruning curve goes from the answer to nothing', async () => {
    const host = await open('prune', attentive(SCORES));
    const found = await pruningCurve(host, { subject: subject(IDS), target, draws: 2 });
    const curve = only(found.tables[0]!.measures['value']!.data);
    for (let ranking = 0; ranking < 3; ranking++) {
      expect(curve[ranking * 2]).toBeCloseTo(VALUE, 4);
      expect(curve[ranking * 2 + 1]).toBeCloseTo(0, 4);
    }
    // The gradient of the head's mask: the answer is proportional to it.
    expect(found.tables[1]!.measures['importance']!.data[0]).toBeCloseTo(Math.abs(VALUE), 4);
  });
});

test('a model in half precision is changed and read in half precision', async () => {
  const host = await open('half', attentive(SCORES, WORTH, 'float16'));
  const near = (value: number, expected: number) => expect(Math.abs(value - expected)).toBeLessThan(0.02);
  for (const by of ['zero', 'mean', 'uniform'] as const) {
    const found = await ablateHeads(host, { subject: subject(IDS), by, target });
    near(found.value, VALUE);
    const expected = { zero: -VALUE, mean: 0, uniform: answer(IDS, Array(5).fill(0.2) as number[]) - VALUE }[by];
    near(found.tables[0]!.measures['effect']!.data[0]!, expected);
  }
  const corrupted = subject([0, 1, 2, 4, 4]);
  const patched = await patch(host, { clean: subject(IDS), corrupted, target });
  near(patched.tables[0]!.measures['normalised']!.data[3]!, 1);
  const direct = await directAttribution(host, { subject: subject(IDS), target });
  near(direct.tables[1]!.measures['contribution']!.data[0]!, VALUE);
  const far = await adversarialAttention(host, { subject: subject(IDS), target, steps: 20 });
  expect(far.figures['total variation']).toBeLessThanOrEqual(0.01);
});

describe('attention as explanation,', () => {
  test('agrees with leaving out where worth is the same for all words attended to', async () => {
    // The first word is worth 0 and hardly seen; leaving out a word moves the answer in the order of its attention.
    const scores = [-9, 0, 1, 2, 3];
    const worth = [0, 1, 1.5, 2.5, 4];
    const host = await open('agree', attentive(scores, worth));
    const found = await correlateAttention(host, { subject: subject(IDS), target });
    expect(found.options['query']).toBe(0);
    const [tauGradient, tauLeaveOneOut] = only(found.tables[0]!.measures['agreement']!.data);
    const attention = softmax(scores);
    const value = (kept: readonly number[]) => {
      const p = softmax(kept.map((at) => scores[at]!));
      return 5 * kept.reduce((sum, at, index) => sum + p[index]! * worth[at]!, 0);
    };
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
    const whole = sigmoid(value(IDS));
    // Position 0 is where the answer is read: without it, the next word reads.
    const left = IDS.map((out) => Math.abs(sigmoid(value(IDS.filter((at) => at !== out))) - whole));
    expect(tauLeaveOneOut).toBeCloseTo(kendallTau(attention, left), 6);
    // |x . gradient| of a word: through its score and its worth.
    const mean = value(IDS) / 5;
    const gradient = IDS.map((at) =>
      Math.abs(
        5 * attention[at]! * (worth[at]! + scores[at]! * (worth[at]! - mean)) +
          // The query's own constant scales all scores.
          (at === 0 ? 5 * IDS.reduce((sum, key) => sum + attention[key]! * scores[key]! * (worth[key]! - mean), 0) : 0),
      ),
    );
    expect(tauGradient).toBeCloseTo(kendallTau(attention, gradient), 6);
    const [scoresOfAttention, scoresOfGradient] = [0, 1].map((row) =>
      only(found.tables[2]!.measures['score']!.data).slice(row * 5, row * 5 + 5),
    );
    scoresOfAttention!.forEach((score, at) => expect(score).toBeCloseTo(attention[at]!, 5));
    scoresOfGradient!.forEach((score, at) => expect(score).toBeCloseTo(gradient[at]!, 3));
  });

  test('has an adversary that is as far as can be when it decides nothing', async () => {
    // All words are worth the same: any attention gives the same answer.
    const host = await open('twins', attentive(SCORES, [1, 1, 1, 1, 1]));
    const found = await adversarialAttention(host, { subject: subject(IDS), target, steps: 200 });
    expect(found.figures['total variation']).toBeLessThan(1e-5);
    // Farthest is all on the word that is attended to least.
    const farthest = jensenShannon(ATTENTION, [0, 0, 1, 0, 0]);
    expect(found.figures['divergence']).toBeGreaterThan(0.95 * farthest);
    expect(found.figures['divergence']).toBeLessThanOrEqual(farthest + 1e-5);
  });

  test('has none when it decides everything: what is found keeps the answer', async () => {
    const host = await open('decides', attentive([0, 0, 0, 3, 0], [-4, -1, 0, 1, 4]));
    const found = await adversarialAttention(host, { subject: subject([3, 0]), target, steps: 200, epsilon: 0.001 });
    // Two words, two worths: the answer tells the attention.
    expect(found.figures['total variation']).toBeLessThanOrEqual(0.001);
    expect(found.figures['divergence']).toBeLessThan(0.01);
  });

  test('is comprehensive when the word attended to is the one that matters', async () => {
    const host = await open('erasure', attentive([0, 0, 0, 6, 0], [0, 0, 0, 2, 0]));
    const ids = [0, 1, 2, 3, 4, 1, 2, 4, 1, 2, 4];
    const found = await eraseTopAttended(host, { subject: subject(ids), target, kept: [0] });
    const comprehensiveness = only(found.tables[0]!.measures['comprehensiveness']!.data);
    const sufficiency = only(found.tables[0]!.measures['sufficiency']!.data);
    const p = found.figures['probability']!;
    // Without the word nothing is left: both classes are even.
    expect(comprehensiveness[0]).toBeCloseTo(p - 0.5, 5);
    expect(sufficiency[0]).toBeLessThan(0.01);
    // Random orders take it out less often.
    expect(comprehensiveness[2 * 6 + 5]).toBeLessThan(comprehensiveness[5]!);
    for (const how of ['delete', 'attention'] as const) {
      const again = await eraseTopAttended(host, { subject: subject(ids), target, kept: [0], removal: how });
      expect(again.tables[0]!.measures['comprehensiveness']!.data[0]).toBeCloseTo(p - 0.5, 3);
    }
  });
});

describe('refusals say in one line', () => {
  test.each([
    ['no attention', () => ablateNothing()],
    ['there is no layer 3', async () => ablateHeads(await small(), { subject: subject(IDS), target, layer: 3 })],
    ['there is no head 1', async () => ablateHeads(await small(), { subject: subject(IDS), target, head: 1 })],
    ['there is no query 9', async () => ablateEdges(await small(), { subject: subject(IDS), target, query: 9 })],
    ['no "mlp"|branch "mlp"', async () => patchIt('mlp', [0, 1, 2, 3, 4])],
    ['differ in length', async () => patchIt('stream', [0, 1])],
    ['no decoder stream', async () => ablateHeads(await small(), { subject: subject(IDS), target, stream: 'decoder' })],
  ])('%s', async (message, refused) => {
    await expect(refused()).rejects.toThrow(new RegExp(message));
    await refused().catch((error: Error) => expect(error.message).not.toContain('\n'));
  });
  const small = () => open('small', attentive(SCORES));
  const patchIt = async (what: 'mlp' | 'stream', ids: readonly number[]) =>
    patch(await small(), { clean: subject(IDS), corrupted: subject(ids), what, target });
  async function ablateNothing(): Promise<unknown> {
    const inputs = { x: { type: 'float32', dims: [1, 4], data: Float32Array.of(1, 2, 3, 4) } } as const;
    return ablateHeads(await open('none', perceptron()), { subject: { inputs }, target });
  }
});

const scores = array(double({ min: 0.01, max: 1, noNaN: true }), { minLength: 2, maxLength: 12 });

test('divergences are symmetric, zero for equals and bounded; tau is 1 with itself and -1 with its reverse', () => {
  assert(
    property(scores, scores, (left, right) => {
      const n = Math.min(left.length, right.length);
      const [p, q] = [left.slice(0, n), right.slice(0, n)];
      expect(jensenShannon(p, q)).toBeCloseTo(jensenShannon(q, p), 10);
      expect(jensenShannon(p, p)).toBeCloseTo(0, 10);
      expect(jensenShannon(p, q)).toBeLessThanOrEqual(Math.LN2);
      expect(totalVariation(p, q)).toBe(totalVariation(q, p));
      const tau = kendallTau(p, q);
      if (!Number.isNaN(tau)) expect(Math.abs(tau)).toBeLessThanOrEqual(1 + 1e-12);
      if (new Set(p).size > 1) {
        expect(kendallTau(p, p)).toBeCloseTo(1, 10);
        expect(
          kendallTau(
            p,
            p.map((each) => -each),
          ),
        ).toBeCloseTo(-1, 10);
      }
    }),
  );
});
