import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import type { Explanation } from '../../src/explanation/index.ts';
import { photograph, repository } from '../folder.ts';

let model: ExplainableModel;
beforeAll(async () => {
  model = await ExplainableModel.open(path.join(repository, 'zoo/image-nanodet'), { cache: false, threads: 2 });
});
afterAll(() => model.release());

/**
 * The share of a map's positive scores that lies in the explained box, the share of the picture that the box is, and whether
 * the highest score lies in it.
 */
function inBox({ attributions, image }: Explanation): { mass: number; area: number; peak: boolean } {
  const { x, y, width, height } = image!.box!;
  const [{ dims, data }] = Object.values(attributions) as [Explanation['attributions'][string]];
  const [rows, columns] = dims.slice(-2) as [number, number];
  let [inside, all, cells, highest, peak] = [0, 0, 0, -Infinity, false];
  data.forEach((score, at) => {
    const [column, row] = [at % columns, Math.floor(at / columns) % rows];
    const [px, py] = [((column + 0.5) * image!.width) / columns, ((row + 0.5) * image!.height) / rows];
    const within = px >= x && px < x + width && py >= y && py < y + height;
    if (within && at < rows * columns) cells += 1;
    if (score > highest) [highest, peak] = [score, within];
    if (score <= 0) return;
    all += score;
    if (within) inside += score;
  });
  return { mass: inside / all, area: cells / (rows * columns), peak };
}

test.each([
  ['coffee.jpg', 'cup', [280, 130]],
  ['cameraman.jpg', 'person', [190, 250]],
] as const)('a real detector finds in %s a %s, around where it is', async (file, label, [x, y]) => {
  const { explanation } = await model.explain({ image: photograph(file) }, { method: 'grad-cam', box: 0 });
  expect(explanation.target.label).toMatch(new RegExp(`^${label} 0\\.[5-9]\\d \\(box 0\\)$`));
  const { box } = explanation.image!;
  expect(x).toBeGreaterThan(box!.x);
  expect(x).toBeLessThan(box!.x + box!.width);
  expect(y).toBeGreaterThan(box!.y);
  expect(y).toBeLessThan(box!.y + box!.height);
});

test.each([
  ['grad-cam', {}, 1.5],
  ['integrated-gradients', { steps: 16 }, 1.2],
  ['d-rise', { n_masks: 64, cells: 6 }, 1],
] as const)(
  'the class score of the cup comes from the cup: %s puts more of it into the box than its share of the picture',
  async (method, options, times) => {
    const { explanation } = await model.explain(
      { image: photograph('coffee.jpg') },
      { method, options, box: 0, seed: 3 },
    );
    const { mass, area, peak } = inBox(explanation);
    expect(area).toBeLessThan(0.6);
    expect(mass).toBeGreaterThan(times * area);
    // So few masks are too noisy for a single pixel to mean anything.
    if (method !== 'd-rise') expect(peak).toBe(true);
    if (method === 'd-rise') {
      // Under masks the detector is less sure than without: some box always lies there, and only its score tells.
      const [{ data }] = Object.values(explanation.attributions) as [Explanation['attributions'][string]];
      const mean = Array.from(data).reduce((sum: number, score) => sum + score, 0) / data.length;
      expect(mean).toBeLessThan(explanation.value);
    }
    if (method === 'integrated-gradients') expect(Math.abs(explanation.convergenceDelta!)).toBeLessThan(0.01);
  },
  180_000,
);

test('relevance goes through convolutions whose bias is added in a node of its own, one number for each channel', async () => {
  const { explanation } = await model.explain(
    { image: photograph('coffee.jpg') },
    { method: 'lrp-epsilon-plus', box: 0 },
  );
  const { mass, area } = inBox(explanation);
  expect(mass).toBeGreaterThan(area);
}, 180_000);
