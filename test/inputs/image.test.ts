import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import {
  encodeImage,
  imageBaseline,
  planImage,
  preprocess,
  readImage,
  resample,
  takesImage,
} from '../../src/inputs/index.ts';
import type { Filter, Pixels } from '../../src/inputs/index.ts';
import { UserError } from '../../src/onnx/index.ts';
import type { ValueInfo } from '../../src/onnx/index.ts';

interface Processed {
  readonly config: unknown;
  readonly dims: readonly number[];
  readonly step: number;
  readonly data: readonly number[];
}
const fixtures = path.join(import.meta.dirname, 'fixtures');
const { resized, processed } = JSON.parse(readFileSync(path.join(fixtures, 'images.json'), 'utf8')) as {
  readonly resized: Record<string, number[]>;
  readonly processed: Record<string, Processed>;
};
const file = path.join(fixtures, 'synthetic.png');
const image = await readImage(file);
const free: ValueInfo[] = [{ name: 'pixel_values', type: 'float32', dims: ['batch', 3, 'height', 'width'] }];
const fixed = (...dims: number[]): ValueInfo[] => [{ name: 'x', type: 'float32', dims }];
const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-image-'));
afterAll(() => rmSync(folder, { recursive: true }));

function flat(width: number, height: number, colour: readonly number[]): Pixels {
  const data = Uint8Array.from({ length: width * height * colour.length }, (_, i) => colour[i % colour.length]!);
  return { width, height, channels: colour.length, data };
}

function png({ width, height, channels, data }: Pixels) {
  return sharp(data, { raw: { width, height, channels: channels as 1 | 2 | 3 | 4 } }).png();
}

describe('resample', () => {
  it.each(Object.entries(resized))('equals Pillow in every byte: %s', (name, expected) => {
    const [filter, ...sizes] = name.split(' ');
    let small = image;
    for (const size of sizes) {
      const [width, height] = size.split('x').map(Number) as [number, number];
      small = resample(small, width, height, filter as Filter);
    }
    expect(Array.from(small.data)).toEqual(expected);
  });
});

describe('preprocess', () => {
  it.each(Object.entries(processed))('gives what the Python processor gives within 2e-6: %s', async (_, reference) => {
    const { tensors, warnings } = await encodeImage(file, free, reference.config);
    const tensor = tensors['pixel_values']!;
    expect(warnings).toEqual([]);
    expect(tensor.dims).toEqual(reference.dims);
    const worst = reference.data.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - (tensor.data[i * reference.step] as number))),
      0,
    );
    expect(worst).toBeLessThan(2e-6);
  });

  it('follows a model whose colours come last, or that takes grey, bytes or half floats', () => {
    const config = { size: { height: 4, width: 4 }, do_normalize: false };
    const orange = flat(8, 8, [200, 100, 0]);
    const last = preprocess(orange, planImage(fixed(1, 4, 4, 3), config));
    expect(last.layout).toBe('NHWC');
    expect(last.tensors['x']!.dims).toEqual([1, 4, 4, 3]);
    expect(Array.from(last.tensors['x']!.data, Number).slice(0, 3)).toEqual(
      [200, 100, 0].map((v) => Math.fround(v / 255)),
    );
    const grey = preprocess(orange, planImage(fixed(1, 1, 4, 4), config)).tensors['x']!;
    expect(grey.data[0]).toBeCloseTo(119 / 255, 2);
    const bytes = preprocess(orange, planImage([{ name: 'x', type: 'uint8', dims: [1, 3, 4, 4] }], config)).tensors[
      'x'
    ]!;
    expect(bytes.data[0]).toBe(200);
    const half = preprocess(orange, planImage([{ name: 'x', type: 'float16', dims: [1, 3, 4, 4] }], config)).tensors[
      'x'
    ]!;
    expect(half.data).toBeInstanceOf(Uint16Array);
  });

  it('says which part of the picture the model sees', () => {
    const config = {
      size: { shortest_edge: 20 },
      do_center_crop: true,
      crop_size: 10,
      image_processor_type: 'CLIPImageProcessor',
    };
    const { crop, width, height } = preprocess(flat(80, 40, [1, 2, 3]), planImage(free, config));
    expect({ width, height }).toEqual({ width: 80, height: 40 });
    expect(crop).toEqual({ x: 30, y: 10, width: 20, height: 20 });
  });

  it('warns when there is no configuration, and refuses when there is nothing to go by', () => {
    const plan = planImage(fixed(1, 3, 6, 5));
    expect(preprocess(image, plan).tensors['x']!.dims).toEqual([1, 3, 6, 5]);
    expect(plan.warnings).toEqual([
      expect.stringMatching(/^No preprocessor_config.json: the picture was resized to 5x6/),
    ]);
    expect(() => planImage(free)).toThrow(/put one beside the model, or pass pixels with --inputs$/);
  });

  it('refuses a configuration and a model that do not belong together', () => {
    const plan = planImage(fixed(1, 3, 6, 6), { size: { height: 4, width: 4 } });
    expect(() => preprocess(image, plan)).toThrow(
      /comes out at 4x4 by preprocessor_config.json, but the model takes 6x6/,
    );
  });

  it.each<[string, ValueInfo[], unknown, RegExp]>([
    ['a model without pictures', [{ name: 'ids', type: 'int64', dims: [1, 4] }], {}, /takes no picture.*"ids"/],
    ['a model with more inputs', [...free, { name: 'ids', type: 'int64', dims: [1] }], {}, /needs more than a picture/],
    ['a bad size', free, { size: { longest: 3 } }, /"size" is \{"longest":3\}; expected/],
    ['a bad filter', free, { resample: 9 }, /unknown "resample" 9/],
    ['a bad mean', free, { image_mean: 'x' }, /"image_mean" must be a list of numbers/],
    ['no object', free, [], /not an object/],
  ])('refuses %s', (_, inputs, config, message) => {
    expect(() => planImage(inputs, config)).toThrow(UserError);
    expect(() => planImage(inputs, config)).toThrow(message);
  });

  it('tells picture models from others', () => {
    expect(takesImage(free)).toBe(true);
    expect(takesImage([{ name: 'ids', type: 'int64', dims: ['b', 't'] }])).toBe(false);
  });
});

describe('readImage', () => {
  it('turns a photograph upright as its EXIF says', async () => {
    const bytes = await png(flat(6, 4, [9, 9, 9]))
      .withMetadata({ orientation: 6 })
      .toBuffer();
    expect(await readImage(bytes)).toMatchObject({ width: 4, height: 6 });
  });

  it('lays transparency on white', async () => {
    const bytes = await png(flat(2, 2, [0, 0, 0, 0])).toBuffer();
    expect(Array.from((await readImage(bytes)).data.slice(0, 3))).toEqual([255, 255, 255]);
  });

  it('makes RGB of grey, of grey with transparency, and of 16 bits', async () => {
    const grey = await readImage(
      await png(flat(2, 2, [77]))
        .toColourspace('b-w')
        .toBuffer(),
    );
    expect([...grey.data]).toEqual(Array.from({ length: 12 }, () => 77));
    const veil = await readImage(await png(flat(2, 2, [0, 255])).toBuffer());
    expect(Array.from(veil.data.slice(0, 3))).toEqual([0, 0, 0]);
    const deep = await png(flat(2, 2, [10, 128, 250]))
      .toColourspace('rgb16')
      .toBuffer();
    expect((await sharp(deep).metadata()).depth).toBe('ushort');
    expect(Array.from((await readImage(deep)).data.slice(0, 3))).toEqual([10, 128, 250]);
  });

  it('makes RGB of CMYK, as printers’ JPEG files have it', async () => {
    const print = await png(flat(16, 16, [200, 100, 50]))
      .toColourspace('cmyk')
      .jpeg({ quality: 100 })
      .toBuffer();
    expect((await sharp(print).metadata()).space).toBe('cmyk');
    const { data, channels, width } = await readImage(print);
    expect([channels, width, data.length]).toEqual([3, 16, 768]);
    // Orange stays orange; without its colour profile not to the digit.
    expect(data[0]).toBeGreaterThan(data[1]! + 40);
    expect(data[1]).toBeGreaterThan(data[2]!);
  });

  it('has no picture for a model of two or four channels, and says so', () => {
    for (const channels of [2, 4])
      expect(() => planImage(fixed(1, channels, 8, 8))).toThrow(
        'the model takes no picture: no input of rank 4 with 1 or 3 channels (its inputs: "x")',
      );
  });

  it.each(['jpeg', 'webp'] as const)('reads %s', async (format) => {
    const bytes = await png(flat(16, 16, [200, 100, 50]))
      .toFormat(format)
      .toBuffer();
    const { data } = await readImage(bytes);
    expect(Math.abs(data[0]! - 200)).toBeLessThan(4);
  });

  it('refuses, in one line, what is no picture, broken, of another format, too large or not there', async () => {
    const noise: Pixels = {
      width: 64,
      height: 64,
      channels: 3,
      data: Uint8Array.from({ length: 12288 }, (_, i) => (i * 7919) % 251),
    };
    const whole = await png(noise).jpeg().toBuffer();
    const write = (name: string, bytes: Uint8Array): string => {
      writeFileSync(path.join(folder, name), bytes);
      return path.join(folder, name);
    };
    const huge = await sharp({ create: { width: 10000, height: 5000, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    const cases: [string, RegExp][] = [
      [write('words.png', Buffer.from('hello')), /^words.png is not a picture that can be read/],
      [write('empty.png', Buffer.from('')), /^empty.png /],
      [write('cut.jpg', whole.subarray(0, whole.length >> 1)), /^cut.jpg is broken: /],
      [write('cut.png', readFileSync(file).subarray(0, 3000)), /^cut.png is broken: /],
      [
        write('moving.gif', await png(noise).gif().toBuffer()),
        /^moving.gif is GIF; PNG, JPEG and WebP pictures are supported$/,
      ],
      [write('huge.png', huge), /^huge.png is 10000x5000, 50.0 megapixels; the limit is 40 megapixels: scale it down$/],
      [path.join(folder, 'none.png'), /^there is no picture none.png$/],
    ];
    for (const [source, message] of cases) {
      const error: unknown = await readImage(source).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(UserError);
      expect((error as UserError).message).toMatch(message);
      expect((error as UserError).message).not.toContain('\n');
    }
  });

  it('keeps a small copy to draw on', async () => {
    const bytes = await sharp({ create: { width: 2048, height: 512, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    const { preview, width } = await encodeImage(bytes, fixed(1, 3, 8, 8));
    expect(width).toBe(2048);
    expect(preview).toMatchObject({ width: 1024, height: 256, channels: 3 });
    expect(preview.data).toHaveLength(1024 * 256 * 3);
  });
});

function mean(list: readonly number[]): number {
  return list.reduce((sum, value) => sum + value, 0) / list.length;
}

function spread(list: readonly number[]): number {
  return mean(list.map((value) => (value - mean(list)) ** 2));
}

describe('imageBaseline', () => {
  const encoding = preprocess(image, planImage(fixed(1, 3, 20, 30)));
  const values = (...args: Parameters<typeof imageBaseline> extends [unknown, ...infer R] ? R : never): number[] =>
    Array.from(imageBaseline(encoding, ...args).data, Number);
  const own = Array.from(encoding.tensors['x']!.data, Number);

  it('has the shape of the picture', () => {
    for (const kind of ['zero', 'black', 'white', 'mean', 'blur', 'noise', 0.5] as const)
      expect(imageBaseline(encoding, kind)).toMatchObject({ type: 'float32', dims: [1, 3, 20, 30] });
  });

  it('is that colour as the model sees it', () => {
    expect(new Set(values('zero'))).toEqual(new Set([0]));
    expect(values('black')[0]).toBeCloseTo(-0.485 / 0.229, 5);
    expect(values('white').at(-1)).toBeCloseTo((1 - 0.406) / 0.225, 5);
    expect(new Set(values(0.5))).toEqual(new Set([0.5]));
    expect(values('mean')[0]).toBeCloseTo(mean(own.slice(0, 600)), 5);
  });

  it('keeps the mean and loses the detail when blurred', () => {
    const blurred = values('blur', { sigma: 3 }).slice(0, 600);
    expect(Math.abs(mean(blurred) - mean(own.slice(0, 600)))).toBeLessThan(0.1);
    expect(spread(blurred)).toBeLessThan(spread(own.slice(0, 600)));
    expect(values('blur', { sigma: 0 })).toEqual(own);
  });

  it('repeats noise for a seed and stays in the range of pixels', () => {
    expect(values('noise', { seed: 3 })).toEqual(values('noise', { seed: 3 }));
    expect(values('noise', { seed: 3 })).not.toEqual(values('noise', { seed: 4 }));
    const [black, white] = [values('black'), values('white')];
    values('noise').forEach((value, i) => {
      expect(value).toBeGreaterThanOrEqual(black[i]!);
      expect(value).toBeLessThanOrEqual(white[i]!);
    });
  });
});
