import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { ints, numbersWeight } from '../../src/onnx/index.ts';
import { topPatches } from '../../src/visualisation/index.ts';
import type { Visualisation } from '../../src/visualisation/index.ts';
import { expectRefusal, onnxray, onnxrayJson } from '../cli/onnxray.ts';
import { testFolder } from '../folder.ts';
import { makeModel, makeNode } from '../models.ts';

const SIDE = 24;
const home = testFolder('top-patches');

/**
 * Two channels: where red goes from dark to bright from left to right, and where a pixel is blue. The filter is of 3 x 4 pixels, with
 * stride 2 and a row and a column of padding.
 */
const rising = Array.from({ length: 36 }, (_, at) => (at >= 12 ? 0 : at % 4 < 2 ? -1 : 1));
const blue = Array.from({ length: 36 }, (_, at) => (at === 24 + 5 ? 1 : at < 24 ? -0.2 : 0));
const graph = {
  inputs: [{ name: 'pixel_values', type: 'float32', dims: ['batch', 3, SIDE, SIDE] }],
  outputs: [{ name: 'logits', type: 'float32', dims: ['batch', 2] }],
  initializers: new Map([['w', numbersWeight('float32', [2, 3, 3, 4], [...rising, ...blue])]]),
} as const;
const convolution = makeNode('Conv', ['pixel_values', 'w'], ['maps'], {
  strides: ints([2, 2]),
  pads: ints([1, 1, 1, 1]),
});
const head = [makeNode('GlobalAveragePool', ['back'], ['pooled']), makeNode('Flatten', ['pooled'], ['logits'])];

/** A grey picture of 48 x 24 pixels, of which the middle half is seen, with some pixels in other colours. */
async function picture(name: string, paint: (x: number, y: number) => readonly [number, number, number] | undefined) {
  const data = Uint8Array.from({ length: 2 * SIDE * SIDE * 3 }, (_, at) => {
    const pixel = Math.floor(at / 3);
    return paint(pixel % (2 * SIDE), Math.floor(pixel / (2 * SIDE)))?.[at % 3] ?? 90;
  });
  const png = await sharp(data, { raw: { width: 2 * SIDE, height: SIDE, channels: 3 } })
    .png()
    .toBuffer();
  return home.write(`pictures/${name}.png`, png);
}

const models: Record<string, ExplainableModel> = {};
const pictures: Record<string, string> = {};
beforeAll(async () => {
  home.write('preprocessor_config.json', {
    do_resize: false,
    do_center_crop: true,
    crop_size: { height: SIDE, width: SIDE },
    do_normalize: false,
  });
  const made = {
    first: [convolution, makeNode('Relu', ['maps'], ['back']), ...head],
    last: [
      convolution,
      makeNode('Transpose', ['maps'], ['turned'], { perm: ints([0, 2, 3, 1]) }),
      makeNode('Relu', ['turned'], ['active']),
      makeNode('Transpose', ['active'], ['back'], { perm: ints([0, 3, 1, 2]) }),
      ...head,
    ],
  };
  for (const [name, nodes] of Object.entries(made))
    models[name] = await ExplainableModel.open(home.write(`${name}.onnx`, makeModel({ ...graph, nodes })));
  // Red rises at column 23 of the picture, which is 11 of what is seen, in rows 8 to 11.
  pictures['edge'] = await picture('edge', (x, y) =>
    x >= 23 && x < 27 && y >= 8 && y < 12 ? [255, 90, 90] : undefined,
  );
  pictures['weak'] = await picture('weak', (x, y) => (x >= 30 && y >= 4 ? [150, 90, 90] : undefined));
  pictures['blue'] = await picture('blue', (x, y) => (x === 12 && y === 0 ? [0, 0, 255] : undefined));
  pictures['plain'] = await picture('plain', () => undefined);
});
afterAll(() => Promise.all(Object.values(models).map((model) => model.release())));

const layers = { first: 'Relu_back', last: 'Relu_active' };

describe.each(['first', 'last'] as const)('with channels %s, a channel that sees', (order) => {
  const find = (channel: number, top = 2): Promise<Visualisation> =>
    topPatches(models[order]!, Object.values(pictures), { layer: layers[order], channels: [channel], top });

  test('red rising gets the picture and the place where it rises most', async () => {
    const { units, options } = await find(0);
    expect(units).toHaveLength(1);
    const [best, second] = units[0]!.pictures;
    expect(best!.source!.path).toBe(pictures['edge']);
    expect(second!.source!.path).toBe(pictures['weak']);
    expect(best!.value).toBeGreaterThan(second!.value);
    // The place sees rows 9 to 11 and columns 9 to 12 of what is seen, which begins at column 12.
    expect(best!.source!.position).toEqual([5, 5]);
    expect(best!.source!.box).toEqual({ x: 12 + 9, y: 9, width: 4, height: 3 });
    expect(best!.value).toBeCloseTo((6 * (255 - 90)) / 255, 4);
    expect([best!.width, best!.height]).toEqual([4, 3]);
    const red = Array.from({ length: 12 }, (_, at) => best!.data[at * 3]!);
    expect(new Set(red)).toEqual(new Set([90, 255]));
    expect(options).toEqual({ top: 2, pictures: 4, receptive_field: '4x3' });
  });

  test('blue gets the corner, cut where the picture of the model ends', async () => {
    const [best] = (await find(1, 1)).units[0]!.pictures;
    expect(best!.source).toEqual({
      path: pictures['blue'],
      position: [0, 0],
      box: { x: 12, y: 0, width: 3, height: 2 },
    });
    expect([...best!.data.subarray(0, 3)]).toEqual([0, 0, 255]);
  });
});

test('a layer behind which everything is seen gives whole crops', async () => {
  const { units, options } = await topPatches(models['first']!, [pictures['edge']!], {
    layer: 'GlobalAveragePool_pooled',
  });
  expect(options['receptive_field']).toBe('all');
  expect(units.map(({ indices }) => indices)).toEqual([[0], [1]]);
  expect(units[0]!.pictures[0]!.source!.box).toEqual({ x: 12, y: 0, width: SIDE, height: SIDE });
});

test('pictures that cannot be read are left out with a word about it; without any there is an error', async () => {
  const broken = home.write('broken.png', 'no picture');
  const request = { layer: 'Relu_back', channels: [0] };
  const { warnings, options } = await topPatches(models['first']!, [broken, pictures['edge']!], request);
  expect(warnings).toEqual([expect.stringMatching(/^1 pictures were left out, the first since broken\.png is not/)]);
  expect(options['pictures']).toBe(1);
  await expect(topPatches(models['first']!, [broken], request)).rejects.toThrow('broken.png is not a picture');
});

test.each([
  [{ layer: 'Relu_back', channels: [2] }, 'has no channel 2: it has 2, from 0'],
  [{ layer: 'Relu_back', channels: [-1] }, 'has no channel -1: it has 2, from 0'],
  [{ layer: 'Relu_back', channels: [] }, 'no channel of layer "Relu_back" is named'],
  [{ layer: 'Relu_bakc' }, 'the model has no layer "Relu_bakc"'],
  [{ layer: 'Relu_back', top: 0 }, 'the number of patches is 0'],
])('%j is refused in one line', async (request, message) => {
  await expect(topPatches(models['first']!, [pictures['edge']!], request)).rejects.toThrow(message);
});

describe('the command line', () => {
  const args = () => ['visualise', home.at('first.onnx'), '--folder', home.at('pictures'), '--layer', 'Relu_back'];

  test('finds patches, and draws them in both languages in every format', async () => {
    const found = await onnxrayJson<Visualisation>([...args(), '--channel', '0:2', '--top', '1']);
    expect(found.units.map(({ label }) => label)).toEqual(['Relu_back[0]', 'Relu_back[1]']);
    expect(found.units.map(({ pictures: [patch] }) => patch!.source!.path)).toEqual([
      pictures['edge'],
      pictures['blue'],
    ]);
    const png = home.at('patches.png');
    const printed = await onnxray([...args(), '--out', png]);
    expect(printed.stdout).toMatch(/^Relu_back\[0\] {2}\S+ {2}edge\.png\nRelu_back\[1\] {2}\S+ {2}blue\.png\nwrote /);
    expect((await sharp(png).metadata()).format).toBe('png');
    const said = { en: 'sees 4x3 pixels', zh: '4x3 像素' };
    for (const [language, words] of Object.entries(said))
      for (const format of ['svg', 'html']) {
        const file = home.at(`patches-${language}.${format}`);
        expect((await onnxray([...args(), '--language', language, '--out', file])).code).toBe(0);
        const text = readFileSync(file, 'utf8');
        expect(text).toContain(words);
        expect(text.match(/<image /g)).toHaveLength(2 * 4);
        expect(text).toContain('<title>edge.png</title>');
      }
  });

  test.each([
    [['--neuron', '1,1'], /give only one of/],
    [['--option', 'steps=3'], /--option is for pictures that are found/],
    [['--channel', '3:1'], /--channel takes numbers such as/],
    [['--top', '0'], /at least 1/],
    [['--out', 'x.gif'], /cannot tell the format of "x\.gif"/],
  ])('refuses %j with exit code 2', async (flags, message) => {
    expectRefusal(await onnxray([...args(), ...flags]), 2, message);
  });

  test('refuses a folder without pictures, and --top without a folder', async () => {
    home.write('empty/readme.txt', 'nothing');
    const empty = ['visualise', home.at('first.onnx'), '--layer', 'Relu_back', '--folder', home.at('empty')];
    expectRefusal(await onnxray(empty), 1, /there is no PNG, JPEG or WebP picture in/);
    expectRefusal(await onnxray([...empty.slice(0, -1), home.at('nowhere')]), 1, /cannot read .*nowhere/);
    expectRefusal(
      await onnxray([...empty.slice(0, -2), '--channel', '0', '--top', '3']),
      2,
      /--top goes with --folder/,
    );
  });
});
