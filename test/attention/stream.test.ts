/** The residual stream is found in every export, and heads are changed whatever shares an axis with them. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { appendEdit } from '../../src/attention/intervene/edits.ts';
import { findStreams } from '../../src/attention/intervene/stream.ts';
import { locateAttention } from '../../src/attention/index.ts';
import { traceModel } from '../../src/attention/trace.ts';
import { GraphBuilder, normalizeModel, readModel } from '../../src/onnx/index.ts';
import type { DenseTensor } from '../../src/onnx/index.ts';
import { makeModel, numbersOf, runModel } from '../models.ts';

const FOLDER = path.join(import.meta.dirname, 'fixtures');
const EXPORTS = readdirSync(FOLDER).filter((file) => file.endsWith('.onnx'));
const NORM_AFTER_SUM = /^(albert|bart|bert|distilbert|roberta)-/;

test.each(EXPORTS)('in %s every block stands on a stream that its attention and MLP add to', (file) => {
  const tracer = traceModel(normalizeModel(readModel(readFileSync(path.join(FOLDER, file)))));
  const blocks = locateAttention(tracer.model);
  const streams = findStreams(tracer, blocks, 'logits');
  const both = /^(bart|t5)-/.test(file);
  expect(streams.map(({ input }) => input)).toEqual(
    both ? ['input_ids', 'decoder_input_ids'] : [tracer.model.graph.inputs[0]!.name],
  );
  expect(streams.map(({ preNorm }) => preNorm)).toEqual(streams.map(() => !NORM_AFTER_SUM.test(file)));
  // A decoder reads its encoder; nothing else has a side.
  expect(streams.map(({ sides }) => sides.length)).toEqual(both ? [0, 1] : [0]);
  const sites = streams.flatMap(({ segments }) => segments.flatMap((segment) => segment.blocks));
  expect(sites.map(({ block }) => block)).toEqual(blocks.map(({ index }) => index));
  for (const { block, attention, mlp } of sites) {
    expect(attention).toBeDefined();
    // In a decoder the MLP comes after cross-attention.
    expect(mlp === undefined).toBe(both && blocks[block]!.kind === 'decoder');
  }
  for (const { segments } of streams)
    segments.slice(1).forEach(({ from }, index) => expect(from).toBe(segments[index]!.to));
});

describe('of 2 rows and 2 heads, head 1 of row 0 is replaced', () => {
  const mask: DenseTensor = { type: 'bool', dims: [2, 2], data: Uint8Array.of(0, 1, 0, 0) };
  const donor: DenseTensor = { type: 'float32', dims: [1, 1, 1, 1], data: Float32Array.of(0) };
  test.each([
    ['heads apart', [2, 2, 1, 3], [3, 4, 5]],
    ['batch and heads in one axis', [4, 1, 3], [3, 4, 5]],
    ['two windows of each row in the batch', [4, 2, 1, 3], [3, 4, 5, 9, 10, 11]],
  ] as const)('with %s', async (_, dims, replaced) => {
    const b = new GraphBuilder(
      makeModel({ inputs: [{ name: 'x', type: 'float32', dims: ['any', ...dims.slice(1)] }], outputs: [], nodes: [] }),
    );
    b.addOutput(appendEdit(b, { site: 'heads', value: 'x', heads: 2 }, 'x'), 'y');
    const size = dims.reduce<number>((left, right) => left * right, 1);
    const data = Float32Array.from({ length: size }, (__, at) => at);
    const { y } = await runModel(b.build(), {
      x: { type: 'float32', dims, data },
      'onnxray/heads/x': mask,
      'onnxray/donor/x': donor,
    });
    expect(y!.dims).toEqual(dims);
    expect(numbersOf(y!)).toEqual(
      Array.from(data, (value) => ((replaced as readonly number[]).includes(value) ? 0 : value)),
    );
  });
});
