import { readFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { felzenszwalb } from '../../src/programs/felzenszwalb.ts';
import { quickshift } from '../../src/programs/quickshift.ts';
import { IMAGE_MODEL, photograph } from '../folder.ts';

const FOLDER = path.join(import.meta.dirname, 'fixtures');
const { pictures } = JSON.parse(readFileSync(path.join(FOLDER, 'superpixels.json'), 'utf8')) as {
  readonly pictures: Readonly<Record<string, Readonly<Record<'felzenszwalb' | 'quickshift', readonly number[]>>>>;
};

/** Labels from the runs of equal ones. */
const unpack = (runs: readonly number[]): number[] =>
  runs.flatMap((label, at) => (at % 2 === 0 ? Array<number>(runs[at + 1]!).fill(label) : []));

/** Adjusted Rand index of two labellings: 1 for the same regions, 0 for what chance gives. */
function adjustedRand(left: ArrayLike<number>, right: ArrayLike<number>): number {
  const [both, rows, columns] = [new Map<string, number>(), new Map<number, number>(), new Map<number, number>()];
  for (let at = 0; at < left.length; at++) {
    const [a, b] = [left[at]!, right[at]!];
    both.set(`${a} ${b}`, (both.get(`${a} ${b}`) ?? 0) + 1);
    rows.set(a, (rows.get(a) ?? 0) + 1);
    columns.set(b, (columns.get(b) ?? 0) + 1);
  }
  const pairs = (counts: Map<unknown, number>) => [...counts.values()].reduce((sum, n) => sum + (n * (n - 1)) / 2, 0);
  const [index, first, second] = [pairs(both), pairs(rows), pairs(columns)];
  const chance = (first * second) / ((left.length * (left.length - 1)) / 2);
  return (index - chance) / ((first + second) / 2 - chance);
}

describe.each(Object.entries(pictures))('superpixels of %s are those of scikit-image', (name, theirs) => {
  test.each(['felzenszwalb', 'quickshift'] as const)('by %s', async (method) => {
    const { data, info } = await sharp(path.join(FOLDER, `${name}.png`))
      .raw()
      .toBuffer({ resolveWithObject: true });
    const { width, height } = info;
    const plane = { channels: 3, height, width };
    const picture = Float32Array.from(
      data,
      (_, at) => data[(at % (height * width)) * 3 + Math.floor(at / (height * width))]! / 255,
    );
    const { labels, centres } =
      method === 'felzenszwalb' ? felzenszwalb(picture, plane) : quickshift(picture, plane, { kernelSize: 2 });
    const reference = unpack(theirs[method]);
    const count = new Set(reference).size;
    expect(Math.abs(centres.length - count)).toBeLessThanOrEqual(Math.max(1, 0.05 * count));
    expect(adjustedRand(labels, reference)).toBeGreaterThan(0.9);
  });
});

test('a picture of one colour is one region, or one peak', () => {
  const plane = { channels: 3, height: 8, width: 8 };
  expect(felzenszwalb(new Float32Array(192), plane).centres).toHaveLength(1);
  expect(quickshift(new Float32Array(192), plane).centres).toHaveLength(1);
});

test.each([
  ['feature-ablation', { features: 'felzenszwalb', regions: 3 }],
  ['lime', { features: 'quickshift', regions: 20, n_samples: 24 }],
  ['kernel-shap', { features: 'felzenszwalb', regions: 3, n_samples: 24 }],
] as const)('%s takes them, one score for each region: %j', async (method, options) => {
  const model = await ExplainableModel.open(IMAGE_MODEL, { cache: false });
  const { explanation } = await model.explain({ image: photograph('flower.jpg') }, { method, options });
  const { data } = Object.values(explanation.attributions)[0]!;
  const different = new Set(Array.from(data)).size;
  expect(different).toBeGreaterThan(2);
  expect(different).toBeLessThan(1000);
  await model.release();
});
