import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import {
  encodePng,
  fitPicture,
  heatImage,
  imageScores,
  overlayImage,
  originalImage,
  renderExplanation,
  scaledCrop,
} from '../../src/views/index.ts';
import { sample, smooth, toMap } from '../../src/views/image-map.ts';
import type { ScoreMap } from '../../src/views/image-map.ts';
import { imageExplanation, picture } from './fabricated.ts';

describe('pixel scores', () => {
  const values = Float32Array.of(1, -2, 3, 4, 10, 20, 30, -40);

  it('are summed over channels, first or last by the layout', () => {
    expect(toMap({ dims: [1, 2, 2, 2], data: values }, 'NCHW', false)!.data).toEqual(Float64Array.of(11, 18, 33, -36));
    expect(toMap({ dims: [1, 2, 2, 2], data: values }, 'NHWC', false)!.data).toEqual(Float64Array.of(-1, 7, 30, -10));
  });

  it('are summed by size where the method has no sign', () => {
    expect(toMap({ dims: [1, 2, 2, 2], data: values }, 'NCHW', true)!.data).toEqual(Float64Array.of(11, 22, 33, 44));
  });

  it('may be a map of a layer: [1,h,w], [h,w] or [1,1,h,w]', () => {
    for (const dims of [
      [1, 2, 4],
      [2, 4],
      [1, 1, 2, 4],
    ])
      expect(toMap({ dims, data: values }, 'NCHW', false)).toMatchObject({ width: 4, height: 2 });
    const wide = Float32Array.from({ length: 49 }, (_, i) => i);
    expect(toMap({ dims: [1, 1, 7, 7], data: wide }, 'NHWC', false)).toMatchObject({ width: 7, height: 7 });
  });

  it('that are not shaped like a picture are not drawn as one', () => {
    expect(toMap({ dims: [1, 8], data: values.slice(0, 0) }, 'NCHW', false)).toBeUndefined();
    expect(toMap({ dims: [8], data: values }, 'NCHW', false)).toBeUndefined();
  });

  it('are found under the path of a layer when the input itself has none', () => {
    const explanation = imageExplanation('integrated-gradients', 8, [1, 1, 8, 8]);
    const moved = { ...explanation, attributions: { '/layer4/conv': explanation.attributions['pixels']! } };
    expect(imageScores(moved)).toMatchObject({ map: { width: 8 }, sigma: 0 });
  });
});

const sum = (data: Float64Array): number => data.reduce((a, b) => a + b, 0);

describe('smoothing', () => {
  const map: ScoreMap = { width: 32, height: 16, data: Float64Array.from({ length: 512 }, (_, i) => Math.sin(i * 99)) };

  it('keeps the sum', () => {
    expect(sum(smooth(map, 2).data)).toBeCloseTo(sum(map.data), 9);
  });

  it('spreads one point as a Gaussian of the stated σ', () => {
    const point = { width: 41, height: 41, data: new Float64Array(41 * 41) };
    point.data[20 * 41 + 20] = 1;
    const { data } = smooth(point, 3);
    let variance = 0;
    for (let y = 0; y < 41; y++) for (let x = 0; x < 41; x++) variance += data[y * 41 + x]! * (x - 20) ** 2;
    expect(Math.sqrt(variance)).toBeCloseTo(3, 1);
  });

  it('of nothing changes nothing', () => {
    expect(smooth(map, 0)).toBe(map);
  });

  it('is mild by default for pixel maps, and said in the caption', async () => {
    const svg = await renderExplanation(imageExplanation('saliency', 64), { format: 'svg', picture: picture() });
    expect(svg).toContain('σ = 0.60 px');
    expect(await renderExplanation(imageExplanation('saliency', 64), { format: 'svg', smooth: 0 })).toContain(
      'Not smoothed.',
    );
  });
});

describe('the overlay', () => {
  const explanation = imageExplanation();
  const scores = imageScores(explanation, { smooth: 0 })!;
  const given = picture();
  const overlay = overlayImage(given, scores, scaledCrop(explanation.image!, given));
  const pixel = (x: number, y: number) =>
    [...overlay.data.subarray((y * 160 + x) * 4, (y * 160 + x) * 4 + 3)] as [number, number, number];

  it('puts scores where the model saw them: orange on the sun, blue on the meadow', () => {
    const [sunRed, , sunBlue] = pixel(109, 36);
    const [meadowRed, , meadowBlue] = pixel(80, 96);
    expect(sunRed).toBeGreaterThan(sunBlue + 60);
    expect(meadowBlue).toBeGreaterThan(meadowRed + 60);
  });

  it('has no colour outside the crop', () => {
    const [red, green, blue] = pixel(5, 96);
    expect(Math.max(red, green, blue) - Math.min(red, green, blue)).toBeLessThanOrEqual(1);
  });

  it('leaves the picture as it is with opacity 0', () => {
    const grey = overlayImage(given, scores, scaledCrop(explanation.image!, given), 0);
    for (let i = 0; i < grey.data.length; i += 4) expect(grey.data[i]).toBe(grey.data[i + 1]);
  });

  it('survives a crop that reaches beyond the picture', () => {
    const beyond = { x: -40, y: -20, width: 240, height: 160 };
    expect(overlayImage(given, scores, beyond).data.length).toBe(160 * 120 * 4);
    expect(originalImage(given, beyond).data.length).toBe(160 * 120 * 4);
  });
});

describe('pictures', () => {
  it('are made smaller, never larger, for display', () => {
    expect(fitPicture(picture(), 80)).toMatchObject({ width: 80, height: 60 });
    expect(fitPicture(picture(), 4000)).toMatchObject({ width: 160, height: 120 });
    expect(fitPicture({ width: 2, height: 1, data: Uint8Array.of(0, 0, 0, 100, 200, 50) }, 1).data).toEqual(
      Uint8Array.of(50, 100, 25),
    );
  });

  it('of scores alone have one cell per score', () => {
    const { map, scale } = imageScores(imageExplanation('integrated-gradients', 16), { smooth: 0 })!;
    expect(heatImage(map, scale)).toMatchObject({ width: 16, height: 16 });
    expect(heatImage(map, scale, 100)).toMatchObject({ width: 112, height: 112 });
  });

  it('come back from PNG as they were', async () => {
    const { map, scale } = imageScores(imageExplanation())!;
    const image = heatImage(map, scale);
    const { data, info } = await sharp(await encodePng(image))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, info.channels]).toEqual([64, 64, 3]);
    expect([...data.subarray(0, 3)]).toEqual([...image.data.subarray(0, 3)]);
  });

  it('between cells of a coarse map are interpolated', () => {
    const map = { width: 2, height: 1, data: Float64Array.of(0, 1) };
    expect(sample(map, 0.5, 0.5)).toBe(0.5);
    expect(sample(map, 0, 0)).toBe(0);
    expect(sample(map, 1, 1)).toBe(1);
  });
});

it('an explanation becomes a PNG at the density asked for', async () => {
  for (const language of ['en', 'zh'] as const) {
    const png = await renderExplanation(imageExplanation(), {
      format: 'png',
      picture: picture(),
      language,
      density: 1,
    });
    const { width, height, format } = await sharp(png).metadata();
    expect(format).toBe('png');
    expect(width).toBe(768);
    expect(height).toBeGreaterThan(300);
  }
});

it('a map in a terminal keeps to the width, and is a grid of sums without colours', async () => {
  const colored = await renderExplanation(imageExplanation(), { format: 'ansi', color: 'truecolor', width: 40 });
  expect(colored.split('\n\n')[1]!.split('\n')).toHaveLength(20);
  const grid = await renderExplanation(imageExplanation(), { format: 'ansi' });
  expect(grid.split('\n\n')[1]!.split('\n')).toHaveLength(6);
});
