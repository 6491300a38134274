/** Picture files as people have them, through the command line: understood as they look, or refused in one line. */
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Explanation } from '../../src/explanation/index.ts';
import { numbersWeight } from '../../src/onnx/index.ts';
import { testFolder } from '../folder.ts';
import { makeModel, makeNode } from '../models.ts';
import { expectRefusal, onnxray, onnxrayJson } from './onnxray.ts';

const SIDE = 16;
const home = testFolder('pictures');

/** Answers with the mean of each channel over the upper left quarter, from 0 (black) to 1. */
function quarterModel(channels: number) {
  const quarter = (at: number) => (at % SIDE < 8 && Math.floor((at % (SIDE * SIDE)) / SIDE) < 8 ? 1 / 64 : 0);
  return makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: [1, channels, SIDE, SIDE] }],
    outputs: [{ name: 'y', type: 'float32', dims: [1, channels] }],
    initializers: [
      [
        'mask',
        numbersWeight(
          'float32',
          [1, 1, SIDE, SIDE],
          Array.from({ length: SIDE * SIDE }, (_, at) => quarter(at)),
        ),
      ],
      ['axes', numbersWeight('int64', [2], [2, 3])],
    ],
    nodes: [
      makeNode('Mul', ['x', 'mask'], ['part']),
      makeNode('ReduceSum', ['part', 'axes'], ['y'], { keepdims: { kind: 'int', value: 0 } }),
    ],
  });
}

type Colour = readonly number[];
/** A picture of one colour in its upper left quarter and another elsewhere. */
function quarters(width: number, height: number, first: Colour, rest: Colour) {
  const data = Uint8Array.from({ length: width * height * first.length }, (_, at) => {
    const pixel = Math.floor(at / first.length);
    const inside = pixel % width < width / 2 && Math.floor(pixel / width) < height / 2;
    return (inside ? first : rest)[at % first.length]!;
  });
  return sharp(data, { raw: { width, height, channels: first.length as 1 | 2 | 3 | 4 } });
}

/** Files, and red, green and blue that the model must see in the upper left quarter, of 255. */
const UNDERSTOOD: Readonly<Record<string, readonly [() => Promise<Buffer>, Colour]>> = {
  'rgb.png': [() => quarters(SIDE, SIDE, [200, 100, 50], [0, 0, 0]).png().toBuffer(), [200, 100, 50]],
  'grey.png': [() => quarters(SIDE, SIDE, [120], [0]).toColourspace('b-w').png().toBuffer(), [120, 120, 120]],
  'grey-alpha.png': [
    () => quarters(SIDE, SIDE, [0, 0], [0, 255]).toColourspace('b-w').png().toBuffer(),
    [255, 255, 255],
  ],
  'alpha.png': [() => quarters(SIDE, SIDE, [200, 0, 0, 51], [0, 0, 0, 255]).png().toBuffer(), [244, 204, 204]],
  'alpha.webp': [
    () => quarters(SIDE, SIDE, [200, 0, 0, 0], [0, 0, 0, 255]).webp({ lossless: true }).toBuffer(),
    [255, 255, 255],
  ],
  'deep.png': [
    () => quarters(SIDE, SIDE, [200, 100, 50], [0, 0, 0]).toColourspace('rgb16').png().toBuffer(),
    [200, 100, 50],
  ],
  'deep-grey.png': [() => quarters(SIDE, SIDE, [120], [0]).toColourspace('grey16').png().toBuffer(), [120, 120, 120]],
  'palette.png': [
    () => quarters(SIDE, SIDE, [200, 100, 50], [0, 0, 0]).png({ palette: true, colours: 4 }).toBuffer(),
    [200, 100, 50],
  ],
  'cmyk.jpg': [
    () => quarters(SIDE, SIDE, [255, 255, 255], [0, 0, 0]).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer(),
    [255, 255, 255],
  ],
};
/** A camera held sideways writes what it saw and how to turn it: the six that turn and mirror, and the two that do not. */
const ORIENTATIONS = [1, 2, 3, 4, 5, 6, 7, 8];

beforeAll(async () => {
  for (const channels of [1, 3, 4, 2]) {
    home.write(`model-${channels}/model.onnx`, quarterModel(channels));
    home.write(`model-${channels}/preprocessor_config.json`, {
      size: { height: SIDE, width: SIDE },
      do_normalize: false,
      resample: 0,
    });
  }
  for (const [name, [make]] of Object.entries(UNDERSTOOD)) home.write(`files/${name}`, await make());
  for (const orientation of ORIENTATIONS) {
    // 32 x 16 with a white upper left quarter, turned the other way: a reader that does as it is told sees the first again.
    const upright = quarters(2 * SIDE, SIDE, [255, 255, 255], [0, 0, 0]).png();
    const back = await undo(await upright.toBuffer(), orientation);
    home.write(
      `turned/${orientation}.jpg`,
      await sharp(back).jpeg({ quality: 100 }).withMetadata({ orientation }).toBuffer(),
    );
  }
});

/** The picture such that turning it as `orientation` says gives the one it was. */
async function undo(png: Buffer, orientation: number): Promise<Buffer> {
  // Those of quarter turns without mirroring are each other's way back; all others are their own.
  const back = orientation === 6 ? 8 : orientation === 8 ? 6 : orientation;
  const tagged = await sharp(png).jpeg({ quality: 100 }).withMetadata({ orientation: back }).toBuffer();
  return sharp(tagged).autoOrient().png().toBuffer();
}

const explain = (channels: number, file: string) => [
  'explain',
  home.at(`model-${channels}`),
  '--image',
  home.at(file),
  '--method',
  'saliency',
  '--target',
];
const named = (explanations: readonly Explanation[]) =>
  new Map(explanations.map((each) => [each.image!.path!.split('/').at(-1)!, each]));

test('grey, transparent, 16-bit, CMYK and palette pictures are seen in the colours people see', async () => {
  const seen: Record<string, number[]> = {};
  for (const channel of [0, 1, 2])
    for (const [name, { value }] of named(await onnxrayJson<Explanation[]>([...explain(3, 'files'), String(channel)])))
      (seen[name] ??= []).push(value * 255);
  expect(Object.keys(seen).sort()).toEqual(Object.keys(UNDERSTOOD).sort());
  for (const [name, [, colour]] of Object.entries(UNDERSTOOD))
    seen[name]!.forEach((value, channel) =>
      expect(Math.abs(value - colour[channel]!), `${name}, channel ${channel}`).toBeLessThanOrEqual(1.5),
    );
});

test('pictures are turned as their EXIF tag says, and called as large as they then are', async () => {
  const turned = named(await onnxrayJson<Explanation[]>([...explain(3, 'turned'), '0']));
  expect([...turned.keys()]).toEqual(ORIENTATIONS.map((orientation) => `${orientation}.jpg`));
  for (const [name, { value, image }] of turned) {
    expect(value, name).toBeGreaterThan(0.97);
    expect([image!.width, image!.height], name).toEqual([2 * SIDE, SIDE]);
  }
});

test('a model of grey pictures gets the luminance of a coloured one', async () => {
  const { value } = await onnxrayJson<Explanation>([...explain(1, 'files/rgb.png'), '0']);
  expect(value * 255).toBeCloseTo(0.299 * 200 + 0.587 * 100 + 0.114 * 50, -0.3);
});

describe('is refused in one line:', () => {
  test.each([2, 4])('a picture for a model of %d channels', async (channels) => {
    const given = await onnxray([...explain(channels, 'files/rgb.png'), '0']);
    expectRefusal(given, 1, /takes no picture: no input of rank 4 with 1 or 3 channels/);
  });

  const BROKEN: readonly (readonly [string, () => Promise<Buffer | string>, RegExp])[] = [
    ['text.png', async () => 'this is no picture', /text\.png is not a picture that can be read; PNG, JPEG and WebP/],
    ['empty.jpg', async () => '', /empty\.jpg/],
    ['cut.png', async () => (await UNDERSTOOD['rgb.png']![0]()).subarray(0, 60), /cut\.png is broken/],
    ['cut.jpg', async () => (await noisy().jpeg().toBuffer()).subarray(0, 900), /cut\.jpg is broken/],
    [
      'moving.gif',
      () => quarters(SIDE, SIDE, [1, 2, 3], [0, 0, 0]).gif().toBuffer(),
      /moving\.gif is GIF; PNG, JPEG and WebP/,
    ],
    [
      'scan.tiff',
      () => quarters(SIDE, SIDE, [1, 2, 3], [0, 0, 0]).tiff().toBuffer(),
      /scan\.tiff is TIFF; PNG, JPEG and WebP/,
    ],
    [
      'huge.png',
      () =>
        sharp({ create: { width: 7000, height: 6000, channels: 3, background: 'white' } })
          .png({ compressionLevel: 1 })
          .toBuffer(),
      /huge\.png is 7000x6000, 42\.0 megapixels; the limit is 40/,
    ],
  ];
  const noisy = () =>
    sharp(
      Uint8Array.from({ length: 64 * 64 * 3 }, (_, at) => (at * at * 7) % 251),
      {
        raw: { width: 64, height: 64, channels: 3 },
      },
    );

  test.each(BROKEN)('%s', async (name, make, message) => {
    home.write(`broken/${name}`, await make());
    expectRefusal(await onnxray([...explain(3, `broken/${name}`), '0']), 1, message);
  });

  test('a file that is not there', async () => {
    expectRefusal(await onnxray([...explain(3, 'nowhere.jpg'), '0']), 1, /there is no picture nowhere\.jpg/);
  });
});
