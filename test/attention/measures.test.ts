/** Measures of heads: on a model that is known, on trees that are known, and by their axioms. */
import { array, assert, double, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import {
  captureAttention,
  classicalScaling,
  dependencyHeads,
  findSinks,
  headClusters,
  inductionScores,
  measureHeads,
  readTreebank,
  symmetricEigen,
  tokenClasses,
  umapPlane,
  wardClusters,
} from '../../src/attention/index.ts';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { TEXT_MODEL } from '../folder.ts';
import { difference, inputsOf, openFixture, reference } from './references.ts';

test('tokens are classed by name, by place and by what they are written with', () => {
  const classes = tokenClasses(
    {
      tokens: ['[CLS]', 'free', '##ly', ',', 'ok', '[SEP]'],
      special: [true, false, false, false, false, true],
      ids: [2, 10, 900, 5, 20, 3],
    },
    500,
  );
  expect(
    Object.entries(classes).map(([name, flags]) => [name, flags.flatMap((flag, at) => (flag ? [at] : []))]),
  ).toEqual([
    ['cls', [0]],
    ['sep', [5]],
    ['punctuation', [3]],
    ['rare', [2]],
  ]);
  expect(tokenClasses({ tokens: ['\u0120Hi', '.'], special: [false, false] })).toEqual({ punctuation: [false, true] });
});

test('masses of classes are the sums of what their keys receive, and sinks those that receive most', async () => {
  const host = await openFixture('bert-eager');
  const tensors = inputsOf(reference('bert-eager'), host, 1);
  const odd = [false, true, false, true, false, true];
  const measures = await measureHeads(host, tensors, { odd, other: [true] });
  const captured = await captureAttention(host, tensors);
  for (const [at, { masses, received, entropy, distance }] of measures.entries()) {
    const p = captured[at]!.values['probabilities']!;
    const mass = Array.from({ length: 4 }, (_, head) => {
      let sum = 0;
      for (let place = 0; place < 36; place++) if (odd[place % 6]) sum += p.data[head * 36 + place]! / 6;
      return sum;
    });
    expect(difference(masses['odd']!.data, mass)).toBeLessThan(1e-5);
    expect(Object.keys(masses)).toEqual(['previous', 'next', 'same', 'first', 'odd']);
    expect(masses['first']!.data[1]).toBeCloseTo(received.data[6]!, 6);
    expect(entropy.dims).toEqual([1, 4]);
    expect(distance!.dims).toEqual([1, 4]);
  }
  const sinks = findSinks(measures, 0.3);
  for (const { mass } of sinks) expect(mass).toBeGreaterThan(0.3);
  const all = measures.flatMap(({ received }) => Array.from(received.data)).filter((mass) => mass > 0.3);
  expect(sinks.length).toBe(all.length);
  await host.release();
});

test('scores of induction heads lie between 0 and 1 and are the same for the same seed', async () => {
  for (const name of ['gpt2-sdpa', 'llama-eager']) {
    const host = await openFixture(name);
    const [once, again] = [
      await inductionScores(host, { length: 4, seed: 3, samples: 2 }),
      await inductionScores(host, { length: 4, seed: 3, samples: 2 }),
    ];
    expect(once.length).toBe(2);
    once.forEach(({ induction, duplicate }, at) => {
      expect(induction.dims).toEqual([1, 4]);
      for (const score of [...induction.data, ...duplicate.data]) expect(score).toBeGreaterThanOrEqual(0);
      for (const score of [...induction.data, ...duplicate.data]) expect(score).toBeLessThanOrEqual(1);
      expect(difference(induction.data, again[at]!.induction.data)).toBe(0);
    });
    await host.release();
  }
});

test('induction heads are refused of a model of pictures, in one line', async () => {
  const host = await openFixture('vit-eager');
  await expect(inductionScores(host)).rejects.toThrow('the model takes none');
  await host.release();
});

test('eigenvectors give a symmetric matrix back, and are orthonormal', () => {
  const matrices = integer({ min: 1, max: 7 }).chain((size) =>
    array(double({ min: -3, max: 3, noNaN: true }), { minLength: size * size, maxLength: size * size }).map((data) => ({
      size,
      data: data.map((each, at) => each + data[(at % size) * size + Math.floor(at / size)]!),
    })),
  );
  assert(
    property(matrices, ({ size, data }) => {
      const { values, vectors } = symmetricEigen(data, size);
      const back = data.map((_, at) => {
        let sum = 0;
        for (let k = 0; k < size; k++)
          sum += values[k]! * vectors[k]![Math.floor(at / size)]! * vectors[k]![at % size]!;
        return sum;
      });
      expect(difference(back, data)).toBeLessThan(1e-9);
      const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, each, at) => sum + each * b[at]!, 0);
      vectors.forEach((a, i) => vectors.forEach((b, j) => expect(dot(a, b)).toBeCloseTo(i === j ? 1 : 0, 9)));
      expect([...values].every((value, at) => at === 0 || values[at - 1]! >= value)).toBe(true);
    }),
    { seed: 11, numRuns: 40 },
  );
});

test('classical scaling finds points in a plane again, up to turning', () => {
  const points = [
    [0, 0],
    [3, 0],
    [0, 4],
    [-2, 1],
    [5, 5],
  ] as const;
  const distance = (a: readonly number[], b: readonly number[]) => Math.hypot(a[0]! - b[0]!, a[1]! - b[1]!);
  const distances = points.flatMap((a) => points.map((b) => distance(a, b)));
  const { points: found, explained } = classicalScaling(distances, points.length);
  expect(explained).toBeCloseTo(1, 9);
  expect(
    difference(
      found.flatMap((a) => found.map((b) => distance(a, b))),
      distances,
    ),
  ).toBeLessThan(1e-9);
});

test('UMAP keeps near what is near, the same for the same seed', () => {
  // Three groups of six on a line, far apart.
  const line = Array.from({ length: 18 }, (_, at) => 100 * Math.floor(at / 6) + (at % 6));
  const distances = line.flatMap((a) => line.map((b) => Math.abs(a - b)));
  const points = umapPlane(distances, 18, 3);
  expect(umapPlane(distances, 18, 3)).toEqual(points);
  expect(umapPlane(distances, 18, 4)).not.toEqual(points);
  points.forEach(([x, y], at) => {
    const nearest = points
      .map(([a, b], other) => ({ other, away: other === at ? Infinity : Math.hypot(a - x, b - y) }))
      .sort((left, right) => left.away - right.away)[0]!.other;
    expect(Math.floor(nearest / 6)).toBe(Math.floor(at / 6));
  });
  expect(() => umapPlane([0, 1, 1, 0], 2, 0)).toThrow('UMAP needs at least 4 heads, not 2');
});

test('Ward’s criterion finds groups that lie apart, whatever their size', () => {
  const line = [0, 0.2, 9, 9.1, 9.3, 20];
  const distances = line.flatMap((a) => line.map((b) => Math.abs(a - b)));
  expect(wardClusters(distances, 6, 3)).toEqual([0, 0, 1, 1, 1, 2]);
  expect(wardClusters(distances, 6, 9)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(wardClusters(distances, 6, 1)).toEqual([0, 0, 0, 0, 0, 0]);
});

test('heads are clustered by what they attend to', async () => {
  const host = await openFixture('bert-sdpa');
  const tensors = inputsOf(reference('bert-sdpa'), host, 1);
  const { heads, distances, queries, explained } = await headClusters(host, tensors, { clusters: 3 });
  expect(heads.map(({ block, head }) => [block.index, head])).toEqual(
    [0, 1].flatMap((block) => [0, 1, 2, 3].map((head) => [block, head])),
  );
  expect(new Set(heads.map(({ cluster }) => cluster)).size).toBe(3);
  expect(queries).toEqual([0, 1, 2, 3, 4, 5]);
  expect(distances.dims).toEqual([8, 8]);
  for (let i = 0; i < 8; i++) {
    expect(distances.data[i * 9]).toBe(0);
    for (let j = 0; j < 8; j++) {
      expect(distances.data[i * 8 + j]).toBe(distances.data[j * 8 + i]);
      expect(distances.data[i * 8 + j]!).toBeLessThanOrEqual(Math.sqrt(Math.LN2));
    }
  }
  expect(explained).toBeGreaterThan(0);
  expect(explained).toBeLessThanOrEqual(1);
  await host.release();
});

const TREEBANK = `# sent_id = 1
# text = The dog won't bite.
1\tThe\tthe\tDET\t_\t_\t2\tdet\t_\t_
2\tdog\tdog\tNOUN\t_\t_\t5\tnsubj\t_\t_
3-4\twon't\t_\t_\t_\t_\t_\t_\t_\t_
3\twill\twill\tAUX\t_\t_\t5\taux\t_\t_
4\tnot\tnot\tPART\t_\t_\t5\tadvmod\t_\t_
5\tbite\tbite\tVERB\t_\t_\t0\troot\t_\tSpaceAfter=No
6\t.\t.\tPUNCT\t_\t_\t5\tpunct\t_\t_

1\tA\ta\tDET\t_\t_\t2\tdet\t_\t_
2\tcat\tcat\tNOUN\t_\t_\t3\tnsubj\t_\t_
3\tsleeps\tsleep\tVERB\t_\t_\t0\troot\t_\t_
3.1\tgone\t_\t_\t_\t_\t_\t_\t_\t_
`;

test('a treebank in CoNLL-U is read with multiword tokens, empty nodes and sentences without their text', () => {
  const [first, second] = readTreebank(TREEBANK, 'trees.conllu');
  expect(
    first!.words.map(({ form, head, relation, range }) => [form, head, relation, range && first!.text.slice(...range)]),
  ).toEqual([
    ['The', 1, 'det', 'The'],
    ['dog', 4, 'nsubj', 'dog'],
    ['will', 4, 'aux', "won't"],
    ['not', 4, 'advmod', "won't"],
    ['bite', -1, 'root', 'bite'],
    ['.', 4, 'punct', '.'],
  ]);
  expect(second!.text).toBe('A cat sleeps');
  expect(second!.words.length).toBe(3);
  expect(() => readTreebank('1 dog\n', 't')).toThrow('t, line 1 is not CoNLL-U');
  expect(() => readTreebank('\n', 't')).toThrow('t holds no sentence in CoNLL-U');
  expect(() => readTreebank('1\ta\t_\t_\t_\t_\t9\tdet\n', 't')).toThrow('"a" depends on word 9 of a sentence of 1');
  expect(() => readTreebank('2\ta\t_\t_\t_\t_\t0\troot\n', 't')).toThrow('"a" is numbered 2, not 1');
});

test('the best head per relation is no worse than any one head counted by hand', async () => {
  const model = await ExplainableModel.open(TEXT_MODEL, { threads: 1, cache: false });
  const sentences = readTreebank(TREEBANK, 'trees.conllu');
  const encode = async (text: string) => {
    const encoded = await model.encode({ text });
    if (encoded.kind !== 'text') throw new Error('a text is encoded as a text');
    return { tensors: encoded.tensors, offsets: encoded.encoding.offsets };
  };
  const scores = await dependencyHeads(model.host, sentences, encode, { minimum: 1 });
  const all = scores.find(({ relation }) => relation === 'all')!;
  expect(all.count).toBe(7);
  const det = scores.find(({ relation }) => relation === 'det')!;
  expect(det).toMatchObject({ count: 2, offset: 1, baseline: 1 });
  // By hand: in "A cat sleeps" every word is one token after [CLS]; the best head for nsubj finds "cat" -> "sleeps" or back.
  const { tensors } = await encode('A cat sleeps');
  const captured = await captureAttention(model.host, tensors);
  const nsubj = scores.find(({ relation }) => relation === 'nsubj')!;
  const p = captured[nsubj.block.index]!.values['probabilities']!;
  const keys = p.dims[3]!;
  const row = (query: number) =>
    Array.from(p.data.slice((nsubj.head * keys + query) * keys, (nsubj.head * keys + query + 1) * keys));
  const most = (query: number) =>
    [1, 2, 3].filter((key) => key !== query).reduce((top, key) => (row(query)[key]! > row(query)[top]! ? key : top));
  const found = nsubj.direction === 'dependent-to-head' ? most(2) === 3 : most(3) === 2;
  if (nsubj.accuracy === 1) expect(found).toBe(true);
  for (const { accuracy, baseline } of scores) {
    expect(accuracy).toBeGreaterThan(0);
    expect(accuracy).toBeLessThanOrEqual(1);
    expect(baseline).toBeLessThanOrEqual(1);
  }
  await model.release();
});

test('fixed offsets count words of the tree, and a word may depend on a part of a multiword token', async () => {
  const model = await ExplainableModel.open(TEXT_MODEL, { threads: 1, cache: false });
  const encode = async (text: string) => {
    const encoded = await model.encode({ text });
    if (encoded.kind !== 'text') throw new Error('a text is encoded as a text');
    return { tensors: encoded.tensors, offsets: encoded.encoding.offsets };
  };
  // "it" depends on "do", two words on; "not", the second word of "don't", has "so" one word on depend on it.
  const contracted = `# comment
# text = it always don't so
1\tit\t_\t_\t_\t_\t3\tnsubj\t_\t_
2\talways\t_\t_\t_\t_\t3\tadvmod\t_\t_
3-4\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
3\tdo\t_\t_\t_\t_\t0\troot\t_\t_
4\tnot\t_\t_\t_\t_\t3\tneg\t_\t_
4.1\tdo\t_\t_\t_\t_\t_\t_\t_\t_
5\tso\t_\t_\t_\t_\t4\tobl\t_\t_
`;
  const scores = await dependencyHeads(model.host, readTreebank(contracted, 't'), encode, { minimum: 1 });
  const found = Object.fromEntries(scores.map((score) => [score.relation, score]));
  // The two words of one token are no pair that attention could tell apart.
  expect(Object.keys(found).sort()).toEqual(['advmod', 'all', 'nsubj', 'obl']);
  expect(found['nsubj']).toMatchObject({ count: 1, offset: 2, baseline: 1 });
  expect(found['advmod']).toMatchObject({ count: 1, offset: 1, baseline: 1 });
  expect(found['obl']).toMatchObject({ count: 1, offset: -1, baseline: 1, accuracy: 1 });
  expect(found['all']).toMatchObject({ count: 3, baseline: 1 / 3 });
  await model.release();
});

test('what a person can mend is said before anything runs', async () => {
  const host = await openFixture('gpt2-eager');
  const tensors = inputsOf(reference('gpt2-eager'), host);
  await expect(captureAttention(host, tensors, { values: ['gradients'] })).rejects.toThrow(/need a target/);
  await host.release();
});
