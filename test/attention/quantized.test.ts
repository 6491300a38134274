/** Attention of exports whose weights are integers, and of DeBERTa's, whose lengths are computed from each other. */
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  alti,
  attentionNorms,
  correlateAttention,
  effectiveAttention,
  eraseTopAttended,
  locateAttention,
  pruningCurve,
} from '../../src/attention/index.ts';
import type { DenseTensor } from '../../src/onnx/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';
import { difference } from './references.ts';

const FOLDER = path.join(import.meta.dirname, '../models/fixtures/architectures');
const open = (name: string) => ModelHost.open(path.join(FOLDER, name), { cache: false, threads: 1 });
const ids = (numbers: readonly number[]): DenseTensor => ({
  type: 'int64',
  dims: [1, numbers.length],
  data: BigInt64Array.from(numbers, BigInt),
});
const INPUTS = { input_ids: ids([3, 8, 13, 18, 23, 5, 10]), attention_mask: ids([1, 1, 1, 1, 1, 1, 1]) };

test.each(['bert/eager-ts-int8.onnx', 'bert/eager-ts-opt-int8.onnx'])(
  'in %s the output projection is found, and what tokens carry is that of the float export up to rounding',
  async (name) => {
    const [host, float] = [await open(name), await open('bert/sdpa-ts-opt.onnx')];
    for (const { projection } of locateAttention(host.model)) expect(projection?.quantized).toBeTruthy();
    const [ours, theirs] = [await attentionNorms(host, INPUTS), await attentionNorms(float, INPUTS)];
    expect(ours.length).toBe(theirs.length);
    ours.forEach(({ norms }, at) => {
      const largest = Math.max(...theirs[at]!.norms.data);
      expect(difference(norms.data, theirs[at]!.norms.data) / largest).toBeLessThan(0.05);
    });
    const { map } = await alti(host, INPUTS);
    for (let query = 0; query < 7; query++) {
      const row = Array.from(map.data.slice(query * 7, (query + 1) * 7));
      expect(row.reduce((left, right) => left + right, 0)).toBeCloseTo(1, 5);
    }
    expect((await effectiveAttention(host, INPUTS)).length).toBe(2);
    await Promise.all([host.release(), float.release()]);
  },
);

test('DeBERTa with lengths of its own is pruned, correlated and erased', async () => {
  const host = await open('deberta-v2/eager-ts-opt-int8.onnx');
  const request = {
    subject: { inputs: INPUTS },
    target: ({ dims }: DenseTensor) => ({ label: '0', indices: dims.slice(1).map(() => 0) }),
  };
  const results = [
    await pruningCurve(host, { ...request, points: 2, draws: 1 }),
    await correlateAttention(host, request),
    await eraseTopAttended(host, { ...request, draws: 1 }),
  ];
  for (const { tables } of results)
    for (const { measures } of tables)
      for (const { data } of Object.values(measures)) expect(Array.from(data).some(Number.isFinite)).toBe(true);
  await host.release();
});
