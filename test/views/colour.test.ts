import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contrast, luminance, nearestXterm, readableOn } from '../../src/views/color.ts';
import {
  LEVELS,
  INK,
  MARKS,
  MUTED,
  PAPER,
  cellColors,
  colorTable,
  fill,
  levelColors,
  makeScale,
  position,
} from '../../src/views/scale.ts';

const THEMES = ['light', 'dark'] as const;

describe('the scale', () => {
  it('is centred at zero and symmetric', () => {
    const scale = makeScale([-2, 0.5, 1], 'diverging');
    expect(scale.limit).toBe(2);
    expect(position(scale, 0)).toBe(0);
    expect(position(scale, 1)).toBe(-position(scale, -1));
  });

  it('takes the stated percentile of |score| as its limit and counts what lies beyond', () => {
    const scores = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? -1 : 1) * (i + 1));
    const scale = makeScale(scores, 'diverging', 99);
    expect(scale.limit).toBe(198);
    expect(scale.clipped).toBe(2);
    expect(position(scale, -200)).toBe(-1);
  });

  it('falls back to the largest score when the percentile of a sparse map is zero', () => {
    const scores = new Float32Array(1000);
    scores[3] = 5;
    expect(makeScale(scores, 'sequential', 99)).toMatchObject({ limit: 5, percentile: 100 });
  });

  it('has a positive limit for empty, all-zero and all-NaN scores', () => {
    for (const scores of [[], [0, 0], [Number.NaN, Number.POSITIVE_INFINITY]])
      expect(makeScale(scores, 'diverging').limit).toBe(1);
    expect(makeScale([1, Number.NaN], 'diverging').invalid).toBe(1);
  });

  it('keeps every cell readable: WCAG AA for both kinds and both pages', () => {
    for (const theme of THEMES)
      for (const kind of ['diverging', 'sequential'] as const)
        for (let level = -LEVELS; level <= LEVELS; level++) {
          const { background, text } = levelColors(kind, level / LEVELS, theme);
          expect(contrast(background, text)).toBeGreaterThanOrEqual(4.5);
        }
    const { background, text } = cellColors(makeScale([1], 'diverging'), Number.NaN, 'light');
    expect(contrast(background, text)).toBeGreaterThanOrEqual(4.5);
  });

  it('gives opposite scores nearly the same luminance, so that neither sign looks stronger', () => {
    for (const theme of THEMES)
      for (const t of [0.25, 0.5, 0.75, 1])
        expect(Math.abs(luminance(fill('diverging', t, theme)) - luminance(fill('diverging', -t, theme)))).toBeLessThan(
          0.06,
        );
  });

  it('gets steadily darker on a light page and lighter on a dark one', () => {
    for (const kind of ['diverging', 'sequential'] as const)
      for (const sign of [1, -1])
        for (let level = 1; level <= LEVELS; level++) {
          const [less, more] = [(sign * (level - 1)) / LEVELS, (sign * level) / LEVELS];
          expect(luminance(fill(kind, more, 'light'))).toBeLessThan(luminance(fill(kind, less, 'light')));
          expect(luminance(fill(kind, more, 'dark'))).toBeGreaterThan(luminance(fill(kind, less, 'dark')));
        }
  });

  it('keeps the two signs apart for a reader without red or without green', () => {
    for (const theme of THEMES) {
      const [orange, blue] = [fill('diverging', 1, theme), fill('diverging', -1, theme)];
      // The blue channel is what both kinds of red-green blindness leave untouched.
      expect(Math.abs(orange[2] - blue[2])).toBeGreaterThan(100);
    }
  });

  it('is the page itself at zero', () => {
    for (const theme of THEMES) expect(fill('diverging', 0, theme)).toEqual(PAPER[theme]);
    expect([...colorTable('diverging', 'heat').subarray(127 * 3, 128 * 3)]).toEqual([255, 255, 255]);
  });

  it('has ink and muted ink that read on both pages', () => {
    for (const theme of THEMES)
      for (const tone of [INK[theme], MUTED[theme]]) expect(contrast(tone, PAPER[theme])).toBeGreaterThanOrEqual(4.5);
  });

  it('has marks that stand out on both pages', () => {
    for (const mark of Object.values(MARKS))
      for (const theme of THEMES) expect(contrast(mark, PAPER[theme])).toBeGreaterThanOrEqual(3);
  });
});

it('black or white text has a contrast of 4.5 on any colour', () => {
  const channel = fc.integer({ min: 0, max: 255 });
  fc.assert(fc.property(channel, channel, channel, (r, g, b) => contrast([r, g, b], readableOn([r, g, b])) >= 4.5));
});

it('finds the exact colours of the 256-colour cube and its greys', () => {
  expect(nearestXterm([255, 135, 0]).index).toBe(208);
  expect(nearestXterm([8, 8, 8]).index).toBe(232);
  expect(nearestXterm([255, 255, 255]).index).toBe(231);
});
