/** Tiny transformers exported by reference/attention: every head is found, and its probabilities are the framework's. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { locateAttention } from '../../src/attention/index.ts';
import { GraphBuilder, normalizeModel, numbersToData, pruneModel, readModel } from '../../src/onnx/index.ts';
import { runModel } from '../models.ts';

interface Reference {
  readonly heads: number;
  readonly kvHeads: number;
  readonly inputs: Readonly<Record<string, { type: 'int64' | 'float32'; dims: number[]; data: number[] }>>;
  readonly blocks: readonly { kind: string; layer: number; dims: number[]; data: number[] }[];
}

const FOLDER = path.join(import.meta.dirname, 'fixtures');
const EXPORTS = readdirSync(FOLDER).filter((file) => file.endsWith('.onnx'));

test('there are exports of twelve architectures', () => {
  expect(new Set(EXPORTS.map((file) => file.replace(/-(eager|sdpa)\.onnx$/, ''))).size).toBe(12);
});

test.each(EXPORTS)('in %s every head is found and attends as in the framework, to 1e-5', async (file) => {
  const name = file.replace(/-(eager|sdpa)\.onnx$/, '');
  const reference = JSON.parse(readFileSync(path.join(FOLDER, `${name}.json`), 'utf8')) as Reference;
  const model = normalizeModel(readModel(readFileSync(path.join(FOLDER, file))));
  const blocks = locateAttention(model);
  const { heads, kvHeads } = reference;
  expect(blocks.map(({ kind, layer, ...rest }) => ({ kind, layer, heads: rest.heads, kvHeads: rest.kvHeads }))).toEqual(
    reference.blocks.map(({ kind, layer }) => ({ kind, layer, heads, kvHeads })),
  );
  expect(blocks.every(({ projection }) => projection !== null)).toBe(true);

  const b = new GraphBuilder(model);
  for (const { index, probabilities } of blocks) b.addOutput(probabilities, `probabilities/${index}`);
  const feeds = Object.entries(reference.inputs).flatMap(([input, { type, dims, data }]) =>
    model.graph.inputs.some((declared) => declared.name === input)
      ? [[input, { type, dims, data: numbersToData(type, data) }] as const]
      : [],
  );
  const outputs = await runModel(pruneModel(b.build()), Object.fromEntries(feeds));
  reference.blocks.forEach(({ dims, data }, index) => {
    const found = outputs[`probabilities/${index}`]!;
    expect(found.dims).toEqual(dims);
    const ours = found.data as Float32Array;
    expect(Math.max(...data.map((value, at) => Math.abs(value - ours[at]!)))).toBeLessThan(1e-5);
  });
});
