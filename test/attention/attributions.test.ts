/** Attributions through attention against the references of reference/attention, to 1e-4. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { array, assert, double, property } from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import {
  alti,
  altiPlus,
  attentionNorms,
  chefer,
  effectiveAttention,
  flow,
  globenc,
  maximumFlow,
  rollout,
  transformerAttribution,
} from '../../src/attention/index.ts';
import type { AttentionTarget } from '../../src/attention/index.ts';
import type { Scores } from '../../src/explanation/index.ts';
import type { NamedTensors } from '../../src/onnx/index.ts';
import { numbersToData } from '../../src/onnx/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';
import type { Dense, Reference } from './references.ts';
import { EXPORTS, FOLDER, difference, inputsOf, openFixture, reference } from './references.ts';

const hosts = new Map<string, Promise<ModelHost>>();
afterAll(async () => {
  for (const host of hosts.values()) await (await host).release();
});
async function opened(name: string): Promise<{ host: ModelHost; tensors: NamedTensors; given: Reference }> {
  if (!hosts.has(name)) hosts.set(name, openFixture(name));
  const host = await hosts.get(name)!;
  const given = reference(name);
  return { host, given, tensors: inputsOf(given, host, 1) };
}

function targetOf({ logits }: Reference, spec: string): AttentionTarget {
  const dims = [1, ...logits.dims.slice(1)];
  const data = new Float32Array(dims.reduce((left, right) => left * right, 1));
  data[spec.split(',').reduce((flat, index, axis) => flat * dims[axis + 1]! + Number(index), 0)] = 1;
  return { output: 'logits', weights: { dims, data } };
}

function further(name: string): Readonly<Record<string, unknown>> | undefined {
  const file = path.join(FOLDER, `${name.replace(/-(eager|sdpa)$/, '')}.analyses.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>) : undefined;
}

function expectSame(ours: Scores | undefined, theirs: Dense): void {
  expect(ours!.dims.filter((dim) => dim !== 1)).toEqual(theirs.dims.filter((dim) => dim !== 1));
  const largest = Math.max(...theirs.data.map(Math.abs), 1e-6);
  expect(difference(ours!.data, theirs.data) / largest).toBeLessThan(1e-4);
}

const plain = EXPORTS.filter((name) => reference(name).analyses !== undefined);
describe.each(plain)('in %s', (name) => {
  const values = reference(name).analyses!.values as Readonly<Record<string, Dense>>;

  test('rollout equals the reference’s, with its options', async () => {
    const { host, tensors } = await opened(name);
    expectSame(await rollout(host, tensors), values['rollout']!);
    expectSame(await rollout(host, tensors, { fusion: 'max', residual: 0.3 }), values['rollout-max']!);
    expectSame(await rollout(host, tensors, { fusion: 'min', discard: 0.4 }), values['rollout-discard']!);
  });

  test('flow equals networkx’s maximum flows', async () => {
    const { host, tensors } = await opened(name);
    const whole = await flow(host, tensors);
    expectSame(whole, values['flow']!);
    const size = whole.dims[1]!;
    const [some] = [await flow(host, tensors, { queries: [2] })];
    expect(difference(some.data, whole.data.slice(2 * size, 3 * size))).toBe(0);
  });

  test('the generic relevance of Chefer et al. equals the reference’s', async () => {
    const { host, tensors, given } = await opened(name);
    const maps = await chefer(host, tensors, targetOf(given, given.analyses!.target));
    expectSame(maps.encoder ?? maps.decoder, values['chefer']!);
  });
});

const deeper = EXPORTS.filter((name) => further(name)?.['alti'] !== undefined);
describe.each(deeper)('in %s', (name) => {
  const values = further(name) as Readonly<Record<string, Dense>> & Readonly<Record<string, readonly Dense[]>>;
  const lists = values as Readonly<Record<string, readonly Dense[]>>;

  test('norms, with residual and layer norm, equal the reference’s', async () => {
    const { host, tensors } = await opened(name);
    for (const [of, key] of [
      ['attention', 'norms'],
      ['residual', 'norms-residual'],
      ['layer-norm', 'norms-layer-norm'],
    ] as const) {
      const found = await attentionNorms(host, tensors, { of });
      expect(found.length).toBe(lists[key]!.length);
      found.forEach(({ norms }, at) => expectSame(norms, lists[key]![at]!));
    }
  });

  test('ALTI equals the reference’s, layer by layer and whole', async () => {
    const { host, tensors } = await opened(name);
    const { map, layers } = await alti(host, tensors);
    layers.forEach(({ scores }, at) => expectSame(scores, lists['contributions']![at]!));
    expectSame(map, values['alti'] as Dense);
  });

  test('effective attention equals the reference’s', async () => {
    const { host, tensors } = await opened(name);
    const found = await effectiveAttention(host, tensors);
    found.forEach(({ attention }, at) => expectSame(attention, lists['effective']![at]!));
    const [one] = await effectiveAttention(host, tensors, { blocks: [1], heads: [2] });
    const all = found[1]!.attention;
    const size = all.dims[2]! * all.dims[3]!;
    expect(difference(one!.attention.data, all.data.slice(2 * size, 3 * size))).toBeLessThan(1e-6);
  });

  if (values['globenc'] !== undefined)
    test('GlobEnc equals the reference’s', async () => {
      const { host, tensors } = await opened(name);
      expectSame((await globenc(host, tensors)).map, values['globenc'] as Dense);
    });
  else
    test('GlobEnc is refused where layers norm before', async () => {
      const { host, tensors } = await opened(name);
      await expect(globenc(host, tensors)).rejects.toThrow(/GlobEnc is for layers that norm after their sums/);
    });

  if (values['transformer-attribution'] !== undefined)
    test('transformer attribution of Chefer et al. equals the reference’s', async () => {
      const { host, tensors, given } = await opened(name);
      expectSame(
        await transformerAttribution(host, tensors, targetOf(given, '1')),
        values['transformer-attribution'] as Dense,
      );
    });
});

test.each(EXPORTS.filter((name) => further(name)?.['chefer'] !== undefined))(
  'in %s the relevance of encoder, decoder and cross-attention equals the reference’s',
  async (name) => {
    const { host, tensors, given } = await opened(name);
    const { target, chefer: theirs } = further(name) as { target: string; chefer: Readonly<Record<string, Dense>> };
    const maps = await chefer(host, tensors, targetOf(given, target));
    for (const kind of ['encoder', 'decoder', 'cross'] as const) expectSame(maps[kind], theirs[kind]!);
  },
);

test.each(['bart-eager', 'bart-sdpa', 't5-eager', 'marian'])(
  'in %s what source and prefix contribute by ALTI+ equals the reference’s, and sums to one',
  async (name) => {
    const own = path.join(FOLDER, 'alti-plus', `${name}.onnx`);
    const host = existsSync(own) ? await ModelHost.open(own, { cache: false, threads: 1 }) : await openFixture(name);
    // The models of a kind have the same inputs.
    const tensors = inputsOf(reference(existsSync(own) ? 'bart' : name), host, 1);
    const file = path.join(FOLDER, 'alti-plus', `${name.replace(/-(eager|sdpa)$/, '')}.json`);
    const theirs = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<'source' | 'target', Dense>>;
    const { source, target, shares } = await altiPlus(host, tensors);
    expectSame(source, theirs.source);
    expectSame(target, theirs.target);
    expect(shares.dims).toEqual([4, 2]);
    for (let row = 0; row < 4; row++) {
      const taken = Array.from(source.data.slice(6 * row, 6 * row + 6)).reduce((sum, each) => sum + each, 0);
      expect(shares.data[2 * row]).toBeCloseTo(taken, 5);
      expect(shares.data[2 * row]! + shares.data[2 * row + 1]!).toBeCloseTo(1, 5);
      // The future gives nothing.
      for (let later = row + 1; later < 4; later++) expect(target.data[4 * row + later]).toBe(0);
    }
    await host.release();
  },
);

test('ALTI+ is refused where nothing looks at what was encoded', async () => {
  const { host, tensors } = await opened('gpt2-eager');
  await expect(altiPlus(host, tensors)).rejects.toThrow(/the model has no cross-attention: use alti$/);
});

test.each(EXPORTS)('in %s relevance through masks and caches stays finite', async (name) => {
  const { host, tensors, given } = await opened(name);
  const spec = given.logits.dims
    .slice(1)
    .map((dim) => dim - 1)
    .join(',');
  const { data } = await transformerAttribution(host, tensors, targetOf(given, spec));
  expect(data.every(Number.isFinite)).toBe(true);
});

test('ALTI, GlobEnc and norms say the same of a BERT whether or not its norms and attention were fused', async () => {
  const bert = path.join(FOLDER, '../../models/fixtures/architectures/bert');
  const tensors = (host: ModelHost): NamedTensors =>
    Object.fromEntries(
      host.model.graph.inputs.map(({ name, type }) => {
        const data = Array.from({ length: 5 }, (_, at) => (name === 'input_ids' ? 3 + at : 1));
        return [name, { type, dims: [1, 5], data: numbersToData(type, data) }];
      }),
    );
  const said = async (file: string) => {
    const host = await ModelHost.open(path.join(bert, file), { cache: false, threads: 1 });
    const given = tensors(host);
    const normed = await attentionNorms(host, given, { of: 'layer-norm' });
    const maps = [(await alti(host, given)).map, (await globenc(host, given)).map, ...normed.map(({ norms }) => norms)];
    await host.release();
    return maps;
  };
  const plain = await said('sdpa-dynamo23.onnx');
  for (const [file, bound] of [
    ['sdpa-ts-opt.onnx', 1e-4],
    ['eager-ts-opt-int8.onnx', 5e-2],
  ] as const)
    (await said(file)).forEach(({ data }, at) => {
      const largest = Math.max(...plain[at]!.data);
      expect(difference(data, plain[at]!.data) / largest, `${file}, map ${at}`).toBeLessThan(bound);
    });
});

test('rows of rollout, ALTI and flow sum to one', async () => {
  for (const name of ['distilbert-sdpa', 'qwen2-eager', 'deit-sdpa', 't5-eager']) {
    const { host, tensors } = await opened(name);
    for (const { dims, data } of [
      await rollout(host, tensors),
      await flow(host, tensors, { queries: [1] }),
      (await alti(host, tensors)).map,
    ]) {
      const keys = dims[1]!;
      for (let row = 0; row < dims[0]!; row++) {
        let sum = 0;
        for (const each of data.slice(row * keys, (row + 1) * keys)) sum += each;
        expect(sum).toBeCloseTo(1, 5);
      }
    }
  }
});

test('a maximum flow is no more than what leaves the source, what enters the sink, and any layer’s capacities', () => {
  const layer = array(double({ min: 0, max: 1, noNaN: true }), { minLength: 9, maxLength: 9 });
  assert(
    property(array(layer, { minLength: 1, maxLength: 4 }), (given) => {
      const layers = given.map((data): Scores => ({ dims: [3, 3], data: Float64Array.from(data) }));
      const most = maximumFlow(layers, 1, 2);
      const last = layers.at(-1)!.data;
      const out = layers.length === 1 ? last[5]! : last[3]! + last[4]! + last[5]!;
      const into = layers.length === 1 ? last[5]! : layers[0]!.data[2]! + layers[0]!.data[5]! + layers[0]!.data[8]!;
      expect(most).toBeGreaterThanOrEqual(0);
      expect(most).toBeLessThanOrEqual(Math.min(out, into) + 1e-9);
    }),
    { seed: 7, numRuns: 60 },
  );
});
