import { readFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import type { ExplainOptions } from '../../src/attribution/index.ts';
import type { Explanation } from '../../src/explanation/index.ts';
import { testFolder } from '../folder.ts';

const MODELS = path.join(import.meta.dirname, 'detectors');
const SEGMENT = ['yolov8-seg', 'yolov5-seg', 'mask-rcnn'];
const KINDS = ['yolov8', 'yolov5', 'detr', 'ssd', 'nms', ...SEGMENT];
const models: Record<string, ExplainableModel> = {};
const preprocessing = { do_resize: false, do_normalize: false, do_rescale: true };

/** A picture of 32 x 32: grey noise, a red square at cell (2, 1) and a paler green one at cell (0, 3), in cells of 8. */
const pixels = new Uint8Array(32 * 32 * 3);
for (let y = 0; y < 32; y++)
  for (let x = 0; x < 32; x++) {
    const at = (y * 32 + x) * 3;
    const cell = [Math.floor(x / 8), Math.floor(y / 8)].join();
    const colour = cell === '2,1' ? [240, 10, 10] : cell === '0,3' ? [20, 200, 20] : [40, 40, 40];
    colour.forEach((value, channel) => (pixels[at + channel] = value + ((x * 7 + y * 13) % 9)));
  }
let picture: Uint8Array;

beforeAll(async () => {
  const home = testFolder('tasks');
  picture = await sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } })
    .png()
    .toBuffer();
  for (const kind of [...KINDS, 'segmenter']) {
    home.write(`${kind}/preprocessor_config.json`, preprocessing);
    home.write(`${kind}/model.onnx`, readFileSync(path.join(MODELS, `${kind}.onnx`)));
    models[kind] = await ExplainableModel.open(home.at(kind), { cache: false, threads: 1 });
  }
});
afterAll(() => Promise.all(Object.values(models).map((model) => model.release())));

const explain = async (kind: string, options: ExplainOptions): Promise<Explanation> =>
  (await models[kind]!.explain({ image: picture }, options)).explanation;

/** Share of a map's positive scores in a cell of 8 x 8 pixels and what lies half a cell around it. */
function shareAround({ attributions }: Explanation, column: number, row: number): number {
  const [{ dims, data }] = Object.values(attributions) as [Explanation['attributions'][string]];
  const [height, width] = dims.slice(-2) as [number, number];
  let [inside, all] = [0, 0];
  data.forEach((score, at) => {
    const [x, y] = [((at % width) + 0.5) * (32 / width), ((Math.floor(at / width) % height) + 0.5) * (32 / height)];
    const near = Math.abs(x - column * 8 - 4) <= 8 && Math.abs(y - row * 8 - 4) <= 8;
    all += Math.max(0, score);
    if (near) inside += Math.max(0, score);
  });
  return inside / all;
}

describe.each(KINDS)('a detector that answers as %s', (kind) => {
  test('names its best box and where it is', async () => {
    const { image, target } = await explain(kind, { method: 'grad-cam', box: 0 });
    expect(target.label).toMatch(/^class 0 0\.\d\d \(box 0\)$/);
    const { x, y, width, height } = image!.box!;
    expect([x + width / 2, y + height / 2].map(Math.round)).toEqual([20, 12]);
    expect(width).toBeGreaterThan(8);
  });

  test('sees the box where the object is, by grad-cam, input x gradient and occlusion', async () => {
    for (const method of ['grad-cam', 'input-x-gradient', 'occlusion']) {
      expect(shareAround(await explain(kind, { method, box: 0 }), 2, 1), method).toBeGreaterThan(0.9);
      expect(shareAround(await explain(kind, { method, box: 1 }), 0, 3), method).toBeGreaterThan(0.9);
    }
  });

  test('is found again by d-rise', async () => {
    const options = { n_masks: 300, cells: 4 };
    const { attributions, options: used } = await explain(kind, { method: 'd-rise', box: 0, options, seed: 1 });
    const [{ data }] = Object.values(attributions) as [Explanation['attributions'][string]];
    const best = data.indexOf(Math.max(...data));
    expect(Math.abs((best % 32) - 20)).toBeLessThan(7);
    expect(Math.abs(Math.floor(best / 32) - 12)).toBeLessThan(7);
    expect(used['seed']).toBe(1);
  });

  test('has no box it did not find', async () => {
    await expect(explain(kind, { method: 'grad-cam', box: 9 })).rejects.toThrow(
      'there is no box 9: the detector finds 2, 0 to 1',
    );
  });
});

interface Gradients {
  readonly class: { readonly value: number; readonly gradient: readonly number[] };
  readonly mask: Gradients['class'];
}
const gradients = JSON.parse(readFileSync(path.join(MODELS, 'masks.json'), 'utf8')) as Record<string, Gradients>;

describe.each(SEGMENT)('an instance that %s finds', (kind) => {
  test.each(['class', 'mask'] as const)('has the gradient of its %s that autograd gives', async (target) => {
    const { value, attributions } = await explain(kind, {
      method: 'saliency',
      options: { signed: true },
      box: 0,
      target,
    });
    const reference = gradients[kind]![target];
    expect(value).toBeCloseTo(reference.value, 4);
    const { data } = attributions['images']!;
    let [difference, size] = [0, 0];
    reference.gradient.forEach((each, at) => {
      difference += (data[at]! - each) ** 2;
      size += each ** 2;
    });
    expect(Math.sqrt(difference / size)).toBeLessThan(1e-4);
  });

  test('shows where its mask comes from, by any method', async () => {
    for (const method of ['grad-cam', 'integrated-gradients', 'occlusion']) {
      const found = await explain(kind, { method, box: 0, target: 'mask' });
      expect(found.target.label).toMatch(/^mask of class 0 0\.\d\d \(box 0\)$/);
      expect(shareAround(found, 2, 1), method).toBeGreaterThan(0.7);
    }
  });
});

test('the objectness and a coordinate of a box are explained where the detector has them', async () => {
  const { target } = await explain('yolov5', { method: 'saliency', box: 0, target: 'objectness' });
  expect(target).toEqual({ label: expect.stringMatching(/^objectness of class 0/), indices: [6, 4] });
  expect((await explain('yolov8', { method: 'grad-cam', box: 0, target: 'w' })).value).toBeCloseTo(10, 0);
  await expect(explain('yolov8', { method: 'saliency', box: 0, target: 'objectness' })).rejects.toThrow(
    'with --box, --target is one of class, cx, cy, w, h, not "objectness"',
  );
});

test('d-rise needs a box', async () => {
  await expect(explain('yolov8', { method: 'd-rise' })).rejects.toThrow('d-rise explains a box: --box N');
});

test('a model that detects nothing says what it answers instead', async () => {
  await expect(explain('segmenter', { method: 'grad-cam', box: 0 })).rejects.toThrow(
    /the model's outputs are not as those of YOLOv5 .* they are "classes" \[1, 3, 32, 32\]/,
  );
});

describe('a region of a segmentation', () => {
  test.each(['grad-cam', 'seg-xres-cam', 'hires-cam', 'input-x-gradient'])(
    'is explained by what lies in it: %s',
    async (method) => {
      const found = await explain('segmenter', { method, region: [20, 12] });
      expect(found.target.label).toMatch(/^class 1, region of \d+$/);
      if (method !== 'grad-cam') expect(shareAround(found, 2, 1)).toBeGreaterThan(0.95);
    },
  );

  test('is the sum of its places’ scores', async () => {
    const { value, target } = await explain('segmenter', { method: 'saliency', region: [20, 12] });
    const size = Number(/of (\d+)/.exec(target.label)![1]);
    expect(size).toBeGreaterThan(40);
    expect(value / size).toBeGreaterThan(0.3);
  });

  test('is refused outside the picture, beside --box and --target, and for a classifier’s answer', async () => {
    await expect(explain('segmenter', { method: 'saliency', region: [99, 2] })).rejects.toThrow(
      'not in the part of the picture',
    );
    await expect(explain('segmenter', { region: [1, 2], box: 1 })).rejects.toThrow('give --box or --region, not both');
    await expect(explain('segmenter', { region: [1, 2], target: '3' })).rejects.toThrow('leave --target out');
    await expect(explain('yolov5', { method: 'saliency', region: [1, 2] })).rejects.toThrow(
      /--region takes|--region is not|not a map of classes|sees nothing/,
    );
  });
});

test('seg-xres-cam is hires-cam with windows of 1 and grad-cam with windows as large as the map', async () => {
  const map = async (method: string, options = {}) =>
    Object.values((await explain('segmenter', { method, region: [20, 12], options })).attributions)[0]!.data;
  const near = (left: ArrayLike<number>, right: ArrayLike<number>) =>
    Array.from(left).forEach((value, at) => expect(value).toBeCloseTo(right[at]!, 4));
  near(await map('seg-xres-cam', { window: 1 }), await map('hires-cam'));
  near(await map('seg-xres-cam', { window: 99 }), await map('grad-cam'));
});
