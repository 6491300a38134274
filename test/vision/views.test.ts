import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import type { Explanation } from '../../src/explanation/index.ts';
import { contactSheet, contourImage, encodeNpy, imageScores, maskedImage } from '../../src/views/index.ts';
import { photograph, testFolder } from '../folder.ts';
import { expectRefusal, onnxray } from '../cli/onnxray.ts';

const home = testFolder('vision-views');

const explanation = (method: string): Explanation => ({
  method,
  options: {},
  model: { path: 'm.onnx', sha256: '' },
  output: 'logits',
  target: { label: 'a <b>', indices: [0] },
  value: 2,
  baselineValue: null,
  convergenceDelta: null,
  attributions: { layer: { dims: [1, 2, 2], data: Float32Array.from([0, 0, 0, 4]) } },
  image: { input: 'x', width: 8, height: 8, crop: { x: 0, y: 0, width: 8, height: 8 }, layout: 'NCHW' },
  warnings: [],
  runtime: { provider: 'cpu', threads: 1, ms: 1, passes: 1, versions: {} },
});
const picture = { width: 8, height: 8, data: new Uint8Array(192).fill(100) };

test('a .npy file says type and shape, and its data begins at a multiple of 64', () => {
  const bytes = encodeNpy({ dims: [1, 2, 2], data: Float32Array.from([1, -2, 0.5, 3]) });
  const text = new TextDecoder('latin1').decode(bytes);
  expect(text.slice(0, 8)).toBe('\u0093NUMPY\u0001\u0000');
  expect(text).toContain("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 2), }");
  const start = 10 + bytes[8]! + 256 * bytes[9]!;
  expect(start % 64).toBe(0);
  expect([...new Float32Array(bytes.slice(start).buffer)]).toEqual([1, -2, 0.5, 3]);
  expect(new TextDecoder('latin1').decode(encodeNpy({ dims: [2], data: new Float64Array(2) }))).toContain(
    "'<f8', 'fortran_order': False, 'shape': (2,)",
  );
});

test('a sheet shows a picture once and each method beside it, with names made safe', async () => {
  const row = { title: '<x>.jpg', picture, explanations: [explanation('grad-cam'), explanation('layer-cam')] };
  const svg = await contactSheet([row, row]);
  expect(svg.match(/<image /g)).toHaveLength(6);
  expect(svg).toContain('&#60;x&#62;.jpg');
  expect(svg).not.toContain('<x>');
  expect((await contactSheet([{ ...row, explanations: [explanation('grad-cam')] }])).match(/<image /g)).toHaveLength(1);
});

test('contours surround what is high and leave the rest of the picture as it is', () => {
  const { data } = contourImage(picture, imageScores(explanation('grad-cam'))!, { x: 0, y: 0, width: 8, height: 8 });
  const changed = Array.from({ length: 64 }, (_, at) => data[at * 4] !== 100);
  expect(changed[0]).toBe(false);
  expect(changed.filter(Boolean).length).toBeGreaterThan(4);
  expect(changed[63]).toBe(false);
});

test('a masked picture shows what is high and greys the rest', () => {
  const crop = { x: 0, y: 0, width: 8, height: 8 };
  const { data } = maskedImage(picture, imageScores(explanation('grad-cam'))!, crop);
  expect([data[0], data[63 * 4]]).toEqual([128, 100]);
  const steps = Array.from({ length: 8 }, (_, at) => data[(at * 8 + at) * 4]!);
  expect(steps).toEqual([...steps].sort((left, right) => right - left));
});

test('the command line draws contours and masked pictures', async () => {
  const args = ['explain', 'zoo/image-imagenet', '--method', 'grad-cam', '--image', photograph('cat.jpg')];
  const drawn = await Promise.all(
    ['overlay', 'contour', 'masked'].map(async (view) => {
      const file = home.at(`${view}.svg`);
      expect((await onnxray([...args, '--view', view, '--out', file])).stderr).toBe('');
      return readFileSync(file, 'utf8').match(/data:image\/png;base64,[^"]+/g)!;
    }),
  );
  expect(new Set(drawn.map((images) => images[1])).size).toBe(3);
  expect(new Set(drawn.map((images) => images[0])).size).toBe(1);
  expectRefusal(await onnxray([...args, '--view', 'maskd']), 2, /masked/);
});

test('the command line draws a folder of pictures on one sheet and writes a map as .npy', async () => {
  for (const name of ['cat.jpg', 'coffee.jpg']) home.write(`pictures/${name}`, readFileSync(photograph(name)));
  const args = ['explain', 'zoo/image-imagenet', '--method', 'grad-cam'];
  const sheet = home.at('sheet.png');
  const made = await onnxray([...args, '--image', home.at('pictures'), '--out', sheet]);
  expect(made.stderr).toBe('');
  expect(made.code).toBe(0);
  expect((await sharp(sheet).metadata()).width).toBeGreaterThan(800);
  const map = home.at('map.npy');
  expect((await onnxray([...args, '--image', photograph('cat.jpg'), '--out', map])).code).toBe(0);
  expect(readFileSync(map).toString('latin1')).toContain("'shape': (1, 7, 7)");
  expectRefusal(
    await onnxray([...args, '--image', home.at('pictures'), '--out', home.at('x.html')]),
    2,
    /drawn on one sheet, \.png or \.svg/,
  );
});
