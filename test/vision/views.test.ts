import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import type { Explanation } from '../../src/explanation/index.ts';
import {
  IMAGE_VIEWS,
  contactSheet,
  contourImage,
  drawImages,
  encodeNpy,
  imageScores,
  maskedImage,
} from '../../src/views/index.ts';
import { photograph, testFolder } from '../folder.ts';
import { expectRefusal, onnxray, onnxrayJson } from '../cli/onnxray.ts';

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

test('a caption on a sheet goes on in further lines, and is cut only beyond three; its numbers never are', async () => {
  const label = 'draws the eye, region of 5,120 pixels around the middle';
  const long = { ...explanation('grad-cam'), target: { label, indices: [0] } };
  const texts = async (one: Explanation) => {
    const svg = await contactSheet([{ title: 'a.jpg', picture, explanations: [one] }]);
    return Array.from(svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g), ([, words]) => words!);
  };
  const found = await texts(long);
  expect(found.join(' ')).toContain(`${label}:`);
  expect(found).toContain('2.00 · ≤ 4.00');
  expect(found.filter((words) => words.includes('…'))).toEqual([]);
  const endless = await texts({ ...long, target: { label: `${label} `.repeat(20), indices: [0] } });
  expect(endless.filter((words) => words.endsWith('…'))).toHaveLength(1);
  expect(endless).toContain('2.00 · ≤ 4.00');
  // What fits stays in one line.
  expect(await texts(explanation('grad-cam'))).toContain('a &#60;b&#62;: 2.00 · ≤ 4.00');
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

describe('methods on one sheet', () => {
  const contributions = (method: string, most: number): Explanation => ({
    ...explanation(method),
    attributions: { layer: { dims: [1, 2, 2], data: Float32Array.from([0, 0, -most / 2, most]) } },
  });
  const rowOf = (explanations: readonly Explanation[]) => [{ title: 'x', picture, explanations }];
  const limits = (svg: string) => svg.match(/≤ [\d.]+/g)!.filter((_, at) => at % 2 === 1);

  test('have one scale where their scores are in one unit, and each its own where they only rank places', async () => {
    const both = [contributions('integrated-gradients', 8), contributions('input-x-gradient', 2)];
    const shared = await contactSheet(rowOf(both), { percentile: 100 });
    expect(limits(shared)).toEqual(['≤ 8.00', '≤ 8.00']);
    expect(shared).toMatch(/>−8\.00<.*>\+8\.00<.*>contribution to logits</s);
    expect(limits(await contactSheet(rowOf(both), { percentile: 100, scale: 'own' }))).toEqual(['≤ 8.00', '≤ 2.00']);
    const ranked = [
      explanation('grad-cam'),
      { ...explanation('layer-cam'), attributions: { layer: { dims: [1, 1, 1], data: Float32Array.of(9) } } },
    ];
    expect(limits(await contactSheet(rowOf(ranked)))).toEqual(['≤ 4.00', '≤ 9.00']);
  });

  test('have one legend for each kind of scale, in both languages', async () => {
    const mixed = [explanation('grad-cam'), explanation('layer-cam'), contributions('integrated-gradients', 8)];
    const said = { en: 'Purple is how much', zh: '紫色表示该处' } as const;
    for (const language of ['en', 'zh'] as const) {
      const svg = await contactSheet(rowOf(mixed), { language });
      expect(svg).toContain(said[language]);
      // A bar of 25 cells without signs and one of 49 with them.
      expect(svg.match(/shape-rendering="crispEdges"/g)).toHaveLength(25 + 49);
      expect(svg).toContain(`xml:lang="${language === 'zh' ? 'zh-CN' : 'en'}"`);
    }
    expect(await contactSheet(rowOf(mixed), { view: 'contour' })).toContain('Lines where |score| passes');
    expect(await contactSheet(rowOf(mixed), { view: 'masked' })).toContain('Seen in full where');
  });
});

test('beside the overlay stands the picture as it is', () => {
  const subject = { scores: imageScores(explanation('grad-cam'))!, picture };
  const { original, overlay } = drawImages(explanation('grad-cam'), subject, 448, 448, 'side-by-side');
  expect([overlay!.width, overlay!.height]).toEqual([8 + 2 + 8, 8]);
  for (let y = 0; y < 8; y++)
    expect(overlay!.data.subarray(y * 18 * 4, (y * 18 + 8) * 4)).toEqual(
      original!.data.subarray(y * 8 * 4, (y + 1) * 8 * 4),
    );
});

describe('the command line', () => {
  const args = ['explain', 'zoo/image-imagenet', '--image', photograph('cat.jpg'), '--method'];

  test('draws several methods on one sheet, in a report or as a list', async () => {
    const both = [...args, 'grad-cam,layer-cam'];
    const listed = await onnxrayJson<Explanation[]>(both);
    expect(listed.map(({ method }) => method)).toEqual(['grad-cam', 'layer-cam']);
    const sheet = home.at('methods.svg');
    expect((await onnxray([...both, '--out', sheet, '--language', 'zh'])).code).toBe(0);
    expect(readFileSync(sheet, 'utf8').match(/<image /g)).toHaveLength(3);
    const report = home.at('methods.html');
    expect((await onnxray([...both, '--out', report])).code).toBe(0);
    expect(readFileSync(report, 'utf8').match(/<article class="method">/g)).toHaveLength(2);
    expect((await onnxray(both)).stdout).toMatch(/grad-cam {2}·[\s\S]*layer-cam {2}·/);
  });

  test('explains a text by several methods below one another', async () => {
    const text = ['explain', 'zoo/text-spam', '--text', 'free prize', '--method', 'saliency,input-x-gradient'];
    const file = home.at('text.svg');
    expect((await onnxray([...text, '--out', file])).code).toBe(0);
    expect(readFileSync(file, 'utf8')).toMatch(/>saliency<[\s\S]*>input-x-gradient</);
  });

  test('draws every view in a report too', async () => {
    const images = await Promise.all(
      IMAGE_VIEWS.map(async (view) => {
        const file = home.at(`${view}.html`);
        expect((await onnxray([...args, 'grad-cam', '--view', view, '--out', file])).code).toBe(0);
        return readFileSync(file, 'utf8').match(/data:image\/png;base64,[^"]+/g)![1]!;
      }),
    );
    expect(new Set(images).size).toBe(IMAGE_VIEWS.length);
  });

  test('keeps a picture’s own resolution where that is asked for', async () => {
    const { width, height } = { width: 1500, height: 1100 };
    const large = home.write(
      'large.png',
      await sharp(photograph('cat.jpg')).resize(width, height, { fit: 'fill' }).png().toBuffer(),
    );
    const at = ['explain', 'zoo/image-imagenet', '--image', large, '--method', 'grad-cam', '--full-size', '--out'];
    const png = home.at('large-overlay.png');
    expect((await onnxray([...at, png])).stderr).toBe('');
    expect(await sharp(png).metadata()).toMatchObject({ width, height });
    const svg = home.at('large.svg');
    expect((await onnxray([...at, svg])).code).toBe(0);
    const [first] = readFileSync(svg, 'utf8').match(/(?<=data:image\/png;base64,)[^"]+/g)!;
    expect(await sharp(Buffer.from(first!, 'base64')).metadata()).toMatchObject({ width, height });
  });

  test.each([
    [['grad-cam,grad-cam'], /--method names grad-cam twice/],
    [['grad-cam,layer-kam'], /unknown method "layer-kam"/],
    [['grad-cam,layer-cam', '--full-size'], /--full-size is for one picture and one method/],
    [['grad-cam,layer-cam', '--out', 'x.npy'], /scores by several methods are written as \.json/],
  ])('refuses %j', async (flags, message) => {
    expectRefusal(await onnxray([...args, ...flags]), 2, message);
  });
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
