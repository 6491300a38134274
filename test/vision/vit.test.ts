import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { emojiScenes } from '../../scripts/vit-scenes.ts';
import type { EmojiScene } from '../../scripts/vit-scenes.ts';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { planeScores, pointsAt } from '../../src/evaluation/index.ts';
import { sumOfScores } from '../../src/explanation/index.ts';
import { repository } from '../folder.ts';

const SIDE = 96;
/** A class of the model is meant by its index: some names are parts of others. */
const indexOf = (index: number) => String(index);

let model: ExplainableModel;
let scenes: readonly EmojiScene[];
beforeAll(async () => {
  model = await ExplainableModel.open(path.join(repository, 'zoo/vit-emoji'), { cache: false, threads: 1 });
  scenes = await emojiScenes(16, 5);
});
afterAll(() => model.release());

test('the vision transformer names drawings that it was not trained on, two in a picture', async () => {
  let found = 0;
  for (const { image, things } of scenes) {
    const { explanation } = await model.explain({ image }, { method: 'saliency' });
    const best = new Set(explanation.predictions!.slice(0, 2).map(({ label }) => label));
    found += things.filter(({ label }) => best.has(label)).length;
  }
  // Of 32 things; by chance 4.
  expect(found).toBeGreaterThan(12);
});

test.each([
  ['grad-cam', [1, 12, 12]],
  ['legrad', [1, 12, 12]],
  ['rollout', [1, 12, 12]],
  ['chefer', [1, 12, 12]],
  ['attn-lrp', [1, 3, SIDE, SIDE]],
] as const)('%s folds its tokens back to the grid of patches, or scores pixels', async (method, dims) => {
  const { explanation } = await model.explain({ image: scenes[0]!.image }, { method });
  expect(Object.values(explanation.attributions)[0]!.dims).toEqual(dims);
});

test('integrated gradients add up to the change of the answer', async () => {
  const { explanation } = await model.explain({ image: scenes[1]!.image }, { method: 'integrated-gradients' });
  const change = explanation.value - explanation.baselineValue!;
  expect(sumOfScores(explanation.attributions)).toBeCloseTo(change, 1);
  expect(Math.abs(explanation.convergenceDelta!)).toBeLessThan(0.01 * Math.abs(change) + 1e-3);
});

describe('asked about one of two things', () => {
  test.each(['chefer', 'legrad', 'grad-cam'])('%s points at it more often than chance does', async (method) => {
    let [hits, chance, count] = [0, 0, 0];
    for (const { image, things } of scenes)
      for (const { index, mask } of things) {
        const { explanation } = await model.explain({ image }, { method, target: indexOf(index) });
        const scores = planeScores(Object.values(explanation.attributions)[0]!, SIDE, SIDE);
        hits += Number(pointsAt(scores, mask));
        chance += mask.data.reduce((sum, value) => sum + value, 0) / mask.data.length;
        count += 1;
      }
    expect(count).toBe(2 * scenes.length);
    expect(hits / count).toBeGreaterThan((2 * chance) / count);
  });
});
