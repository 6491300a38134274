/** What is captured of attention: values as they are, and what is reduced in the graph, against plain arithmetic. */
import { afterAll, describe, expect, test } from 'vitest';
import { captureAttention } from '../../src/attention/index.ts';
import type { Scores } from '../../src/explanation/index.ts';
import type { NamedTensors } from '../../src/onnx/index.ts';
import type { ModelHost } from '../../src/runtime/index.ts';
import { EXPORTS, difference, inputsOf, openFixture, reference } from './references.ts';

const hosts: ModelHost[] = [];
afterAll(() => Promise.all(hosts.map((host) => host.release())));
async function open(name: string) {
  const host = await openFixture(name);
  hosts.push(host);
  return host;
}

/** sum over elements of f(p, head, query, key), by batch and head, of probabilities [batch, heads, queries, keys]. */
function byHead({ dims, data }: Scores, f: (p: number, query: number, key: number) => number): number[] {
  const [batch, heads, queries, keys] = dims as [number, number, number, number];
  return Array.from({ length: batch * heads }, (_, at) => {
    let sum = 0;
    for (let query = 0; query < queries; query++)
      for (let key = 0; key < keys; key++) sum += f(data[(at * queries + query) * keys + key]!, query, key);
    return sum;
  });
}

describe.each(EXPORTS)('in %s', (name) => {
  test('probabilities of every block equal the framework’s, to 1e-5', async () => {
    const host = await open(name);
    const given = reference(name);
    const blocks = await captureAttention(host, inputsOf(given, host));
    expect(blocks.length).toBe(given.blocks.length);
    for (const [index, { dims, data }] of given.blocks.entries()) {
      const found = blocks[index]!.values['probabilities']!;
      expect(found.dims).toEqual(dims);
      expect(difference(found.data, data)).toBeLessThan(1e-5);
    }
  });

  test('what is reduced in the graph equals the same of the probabilities', async () => {
    const host = await open(name);
    const tensors = inputsOf(reference(name), host);
    const blocks = await captureAttention(host, tensors, {
      values: [
        'probabilities',
        'entropy',
        'entropy-by-query',
        'distance',
        'confidence',
        'received',
        { offset: -1 },
        { offset: 0 },
        { offset: 2 },
        { top: 2 },
        { fused: 'max' },
        { cells: 3 },
      ],
    });
    const alone = await captureAttention(host, tensors, { values: ['entropy'] });
    for (const { block, values } of blocks) {
      const p = values['probabilities']!;
      const [batch, heads, queries, keys] = p.dims as [number, number, number, number];
      const [rows, columns] = [Math.ceil(queries / 3), Math.ceil(keys / 3)];
      const greatest = new Float32Array(batch * heads * rows * columns).fill(-Infinity);
      p.data.forEach((each, i) => {
        const [key, query, at] = [i % keys, Math.floor(i / keys) % queries, Math.floor(i / keys / queries)];
        const cell = (at * rows + Math.floor(query / 3)) * columns + Math.floor(key / 3);
        greatest[cell] = Math.max(greatest[cell]!, each);
      });
      expect(values['cells']).toEqual({ dims: [batch, heads, rows, columns], data: greatest });
      const entropies = byHead(p, (each) => (each > 0 ? -each * Math.log(each) : 0)).map((sum) => sum / queries);
      expect(difference(values['entropy']!.data, entropies)).toBeLessThan(1e-5);
      // Without each query's it is made another way.
      expect(difference(alone[block.index]!.values['entropy']!.data, entropies)).toBeLessThan(1e-5);
      const perQuery = values['entropy-by-query']!;
      expect(perQuery.dims).toEqual([batch, heads, queries]);
      const means = byHead({ dims: [batch, heads, queries, 1], data: perQuery.data }, (each) => each / queries);
      expect(difference(means, entropies)).toBeLessThan(1e-5);
      expect(values['received']!.dims).toEqual([batch, heads, keys]);
      const seen = Array.from({ length: keys }, (_, key) => byHead(p, (each, _query, at) => (at === key ? each : 0)));
      const received = Array.from({ length: batch * heads }, (_, head) => seen.map((sums) => sums[head]! / queries));
      expect(difference(values['received']!.data, received.flat())).toBeLessThan(1e-5);
      expect(values['top']!.dims).toEqual([batch, heads, queries, 2]);
      const first = Array.from(p.data.slice(0, keys));
      expect(values['top']!.data[0]).toBeCloseTo(Math.max(...first), 6);
      expect(first[values['top-keys']!.data[0]!]).toBeCloseTo(Math.max(...first), 6);
      expect(values['fused max']!.dims).toEqual([batch, queries, keys]);
      if (block.kind === 'cross') {
        expect(values['distance']).toBeUndefined();
        continue;
      }
      const distances = byHead(p, (each, query, key) => (each * Math.abs(query - key)) / queries);
      expect(difference(values['distance']!.data, distances)).toBeLessThan(1e-5);
      for (const offset of [-1, 0, 2]) {
        const count = Array.from({ length: queries }, (_, at) => at + offset).filter((at) => at >= 0 && at < keys);
        const mass = byHead(p, (each, query, key) => (key === query + offset ? each / count.length : 0));
        expect(difference(values[`offset ${offset}`]!.data, mass)).toBeLessThan(1e-5);
      }
    }
  });
});

test.each(['bert-eager', 'bert-sdpa', 'gpt2-eager', 'llama-sdpa'])(
  'in %s a query that is masked from every key has no entropy, and the mean is that of the others',
  async (name) => {
    const host = await open(name);
    const given = inputsOf(reference(name), host, 1);
    const causal = !name.startsWith('bert');
    // Padding on the left hides all that its own positions may see from a decoder, padding everywhere all from an encoder.
    const mask = Array.from({ length: 6 }, (_, at) => (causal && at >= 2 ? 1 : 0));
    const tensors = {
      ...given,
      attention_mask: { ...given['attention_mask']!, data: BigInt64Array.from(mask, BigInt) },
    };
    const alone = await captureAttention(host, tensors as NamedTensors, { values: ['entropy'] });
    for (const { block, values } of await captureAttention(host, tensors as NamedTensors, {
      values: ['probabilities', 'entropy', 'entropy-by-query'],
    })) {
      const [mean, byQuery] = [values['entropy']!.data, values['entropy-by-query']!.data];
      expect(byQuery.length, block.path).toBe(24);
      alone[block.index]!.values['entropy']!.data.forEach((each, head) =>
        causal ? expect(each).toBeCloseTo(mean[head]!, 5) : expect(each).toBeNaN(),
      );
      expect(Array.from(byQuery.slice(0, 6), Number.isNaN)).toEqual(mask.map((seen) => seen === 0));
      if (!causal) expect([...mean].every(Number.isNaN)).toBe(true);
      else
        for (let head = 0; head < 4; head++) {
          const own = Array.from(byQuery.slice(6 * head + 2, 6 * head + 6));
          expect(mean[head]).toBeCloseTo(own.reduce((sum, each) => sum + each, 0) / 4, 5);
          const row = Array.from(values['probabilities']!.data.slice(36 * head + 30, 36 * head + 36));
          expect(own[3]).toBeCloseTo(
            row.reduce((sum, p) => sum - (p > 0 ? p * Math.log(p) : 0), 0),
            5,
          );
        }
    }
  },
);

test('heads, blocks and a span of queries can be chosen', async () => {
  const host = await open('bert-sdpa');
  const tensors = inputsOf(reference('bert-sdpa'), host);
  const [whole] = await captureAttention(host, tensors, { blocks: [1] });
  const [chosen] = await captureAttention(host, tensors, {
    blocks: [1],
    heads: [3, 0],
    queries: [4, 2],
    values: ['probabilities', 'distance', { offset: -1 }],
  });
  const all = whole!.values['probabilities']!;
  const p = chosen!.values['probabilities']!;
  const [, heads, queries, keys] = all.dims as [number, number, number, number];
  expect(p.dims).toEqual([all.dims[0], 2, 2, keys]);
  const row = (head: number, query: number) =>
    Array.from(all.data.slice((head * queries + query) * keys, (head * queries + query + 1) * keys));
  expect(heads).toBe(4);
  expect(difference(p.data.slice(0, 2 * keys), [...row(3, 4), ...row(3, 2)])).toBe(0);
  const distance = (head: number) =>
    [4, 2].reduce(
      (sum, query) => sum + row(head, query).reduce((s, v, key) => s + v * Math.abs(query - key), 0) / 2,
      0,
    );
  expect(chosen!.values['distance']!.data[0]).toBeCloseTo(distance(3), 5);
  expect(chosen!.values['offset -1']!.data[0]).toBeCloseTo((row(3, 4)[3]! + row(3, 2)[1]!) / 2, 5);
});

test('scores are what the probabilities are the softmax of, and values weighted by them the context', async () => {
  for (const name of ['gpt2-eager', 'llama-sdpa', 'bart-sdpa', 't5-eager', 'vit-eager']) {
    const host = await open(name);
    const blocks = await captureAttention(host, inputsOf(reference(name), host), {
      values: ['probabilities', 'scores', 'queries', 'keys', 'values', 'context', 'hidden'],
    });
    for (const { values } of blocks) {
      const p = values['probabilities']!;
      const keys = p.dims[3]!;
      const scores = values['scores']!;
      expect(scores.dims).toEqual(p.dims);
      const row = Array.from(scores.data.slice(0, keys), Math.exp);
      const total = row.reduce((left, right) => left + right, 0);
      expect(
        difference(
          p.data.slice(0, keys),
          row.map((each) => each / total),
        ),
      ).toBeLessThan(1e-5);
      const size = values['values']!.dims[3]!;
      expect(values['keys']!.dims.slice(0, 3)).toEqual(values['values']!.dims.slice(0, 3));
      expect(values['queries']!.dims[3]).toBe(values['keys']!.dims[3]);
      const context = Array.from({ length: size }, (_, at) => {
        let sum = 0;
        for (let key = 0; key < keys; key++) sum += p.data[key]! * values['values']!.data[key * size + at]!;
        return sum;
      });
      expect(difference(values['context']!.data.slice(0, size), context)).toBeLessThan(1e-5);
      expect(values['hidden']!.dims).toEqual([p.dims[0], keys, 16]);
    }
  }
});

test('gradients in the probabilities, and the importance of heads, equal the reference’s', async () => {
  for (const name of EXPORTS) {
    const given = reference(name);
    if (given.analyses === undefined) continue;
    const host = await open(name);
    const tensors = inputsOf(given, host, 1);
    const dims = [1, ...given.logits.dims.slice(1)];
    const data = new Float32Array(dims.reduce((left, right) => left * right, 1));
    const indices = given.analyses.target.split(',').map(Number);
    data[indices.reduce((flat, index, axis) => flat * dims[axis + 1]! + index, 0)] = 1;
    const blocks = await captureAttention(host, tensors, {
      values: ['gradient-x-attention', 'importance'],
      target: { output: 'logits', weights: { dims, data } },
    });
    for (const what of ['gradient-x-attention', 'importance'] as const) {
      const theirs = given.analyses.values[what] as readonly { readonly data: readonly number[] }[];
      for (const [index, { values }] of blocks.entries())
        expect(difference(values[what]!.data, theirs[index]!.data), `${name} ${what}`).toBeLessThan(1e-4);
    }
  }
});

test('blocks and heads out of range are refused in one line', async () => {
  const host = await open('bert-eager');
  const tensors = inputsOf(reference('bert-eager'), host);
  await expect(captureAttention(host, tensors, { blocks: [2] })).rejects.toThrow(
    'the model has no attention block 2: it has blocks 0 to 1',
  );
  await expect(captureAttention(host, tensors, { heads: [4] })).rejects.toThrow(
    'there is no head 4 in model.bert.encoder.layer.0.attention.self: it has heads 0 to 3',
  );
});
