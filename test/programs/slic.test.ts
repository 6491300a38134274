import { expect, test } from 'vitest';
import { slic } from '../../src/programs/slic.ts';

/** Red left of a slanted edge, blue right of it. */
const [height, width] = [24, 32];
const left = (at: number) => (at % width) + Math.floor(at / width) / 4 < 17.3;
const picture = Float32Array.from({ length: 3 * height * width }, (_, at) => {
  const [channel, pixel] = [Math.floor(at / (height * width)), at % (height * width)];
  return channel === (left(pixel) ? 0 : 2) ? 1 : 0.1;
});

test('superpixels do not cross an edge, hang together, and are about as many as asked for', () => {
  const { labels, centres } = slic(picture, { channels: 3, height, width }, 12);
  expect(centres.length).toBeGreaterThanOrEqual(6);
  expect(centres.length).toBeLessThanOrEqual(18);
  const sides = new Map<number, Set<boolean>>();
  labels.forEach((label, at) => sides.set(label, (sides.get(label) ?? new Set()).add(left(at))));
  for (const each of sides.values()) expect(each.size).toBe(1);
  // Every superpixel is one piece: a walk over equal neighbours from its first pixel reaches all of it.
  for (const label of sides.keys()) {
    const all = Array.from(labels.keys()).filter((at) => labels[at] === label);
    const reached = new Set([all[0]!]);
    for (const at of reached)
      for (const next of [
        at - width,
        at + width,
        ...(at % width > 0 ? [at - 1] : []),
        ...(at % width < width - 1 ? [at + 1] : []),
      ])
        if (labels[next] === label) reached.add(next);
    expect(reached.size).toBe(all.length);
  }
});

test('a picture of one colour falls into a grid', () => {
  const { centres } = slic(new Float32Array(64), { channels: 1, height: 8, width: 8 }, 4);
  expect(centres).toHaveLength(4);
});
