import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { pixelCurves } from '../../src/evaluation/index.ts';
import type { PixelCurves } from '../../src/evaluation/index.ts';
import type { Explanation } from '../../src/explanation/index.ts';
import { numbersWeight } from '../../src/onnx/index.ts';
import { curvesHtml, curvesSvg } from '../../src/views/index.ts';
import { expectRefusal, onnxray } from '../cli/onnxray.ts';
import { photograph, testFolder } from '../folder.ts';
import { makeModel, makeNode } from '../models.ts';

const SIDE = 16;
const home = testFolder('pixel-curves');

/** Answers with the mean red of the upper left quarter, pixels last or first, as a number alone. */
const quarter = Array.from({ length: SIDE * SIDE }, (_, at) =>
  at % SIDE < 8 && Math.floor(at / SIDE) < 8 ? 1 / 64 : 0,
);
function quarterModel(layout: 'NCHW' | 'NHWC') {
  const first = layout === 'NCHW';
  const weights = Array.from({ length: 3 * SIDE * SIDE }, (_, at) =>
    first ? (at < SIDE * SIDE ? quarter[at]! : 0) : at % 3 === 0 ? quarter[(at - (at % 3)) / 3]! : 0,
  );
  return makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: first ? [1, 3, SIDE, SIDE] : [1, SIDE, SIDE, 3] }],
    outputs: [{ name: 'y', type: 'float32', dims: [1, 1] }],
    initializers: [
      ['w', numbersWeight('float32', [3 * SIDE * SIDE, 1], weights)],
      ['flat', numbersWeight('int64', [2], [1, 3 * SIDE * SIDE])],
    ],
    nodes: [makeNode('Reshape', ['x', 'flat'], ['row']), makeNode('MatMul', ['row', 'w'], ['y'])],
  });
}

const models: Record<string, ExplainableModel> = {};
let white: string;
beforeAll(async () => {
  for (const layout of ['NCHW', 'NHWC'] as const) {
    home.write(`${layout}/preprocessor_config.json`, { size: { height: SIDE, width: SIDE }, do_normalize: false });
    models[layout] = await ExplainableModel.open(home.write(`${layout}/model.onnx`, quarterModel(layout)), {
      cache: false,
    });
  }
  // White where the model looks, black elsewhere.
  const data = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, at) => (quarter[Math.floor(at / 3)]! > 0 ? 255 : 0));
  const png = await sharp(data, { raw: { width: SIDE, height: SIDE, channels: 3 } })
    .png()
    .toBuffer();
  white = home.write('white.png', png);
});
afterAll(() => Promise.all(Object.values(models).map((model) => model.release())));

describe.each(['NCHW', 'NHWC'])('with pixels as %s', (layout) => {
  const measure = async (change: (explanation: Explanation) => Explanation = (same) => same): Promise<PixelCurves> => {
    const { explanation } = await models[layout]!.explain({ image: white }, { method: 'input-x-gradient' });
    return pixelCurves(models[layout]!, white, change(explanation));
  };

  test('right scores make the answer fall and rise with the first quarter of the pixels', async () => {
    const { unit, shares, deletion, insertion } = await measure();
    expect(unit).toBe('value');
    expect(shares).toHaveLength(21);
    shares.forEach((share, at) => expect(deletion.values[at]).toBeCloseTo(Math.max(0, 1 - 4 * share), 1));
    expect(deletion.area).toBeCloseTo(0.125, 2);
    const [start] = insertion.values as [number];
    expect(start).toBeLessThan(0.95);
    for (const [at, share] of shares.entries()) if (share >= 0.25) expect(insertion.values[at]).toBeCloseTo(1, 5);
    expect(insertion.area).toBeGreaterThan(1 - (1 - start) * 0.25);
    // What the model saw: white there first, black in the end.
    expect(deletion.pictures[0]!.data[0]).toBe(255);
    expect(deletion.pictures[20]!.data.every((value) => value === 0)).toBe(true);
    expect(insertion.pictures[20]!.data).toEqual(deletion.pictures[0]!.data);
  });

  test('scores the wrong way round do so with the last', async () => {
    const { deletion } = await measure((explanation) => ({
      ...explanation,
      attributions: Object.fromEntries(
        Object.entries(explanation.attributions).map(([name, { dims, data }]) => [
          name,
          { dims, data: Float32Array.from(data, (value) => -value) },
        ]),
      ),
    }));
    expect(deletion.values.slice(0, 16).every((value) => Math.abs(value - 1) < 1e-5)).toBe(true);
    expect(deletion.area).toBeCloseTo(0.875, 2);
  });
});

test('a map smaller than the picture is enlarged', async () => {
  const { explanation } = await models['NCHW']!.explain({ image: white }, { method: 'input-x-gradient' });
  const attributions = { layer: { dims: [1, 2, 2], data: Float32Array.from([1, 0, 0, 0]) } };
  const { deletion } = await pixelCurves(models['NCHW']!, white, { ...explanation, attributions }, { steps: 4 });
  expect(deletion.values[1]).toBeLessThan(0.3);
});

test('curves are drawn with a picture and a mark for each step, which a style sheet shows one after another', async () => {
  const { explanation } = await models['NCHW']!.explain({ image: white }, { method: 'input-x-gradient' });
  const curves = await pixelCurves(models['NCHW']!, white, explanation, { steps: 4 });
  const svg = await curvesSvg(curves, { title: 'a <b>' });
  expect(svg.match(/<g class="ox-frame ox-f\d">/g)).toHaveLength(2 * 5);
  expect(svg.match(/<polyline /g)).toHaveLength(2);
  expect(svg).toContain('@keyframes ox-run{0%{visibility:visible}20.000%{visibility:hidden}');
  expect(svg).toContain('@media (prefers-reduced-motion:reduce)');
  expect(svg).not.toMatch(/<script|<b>|http(?!:\/\/www\.w3\.org\/2000\/svg)/);
  const html = await curvesHtml(curves, { title: 'a <b>', language: 'zh' });
  expect(html).toContain('曲线下面积');
  expect(html).toContain("default-src 'none'");
});

describe('the command line', () => {
  const args = ['explain', 'zoo/image-imagenet', '--image', photograph('coffee.jpg'), '--method', 'grad-cam'];

  test('writes curves of a photograph, whose class falls early and rises early', async () => {
    const file = home.at('curves.json');
    const { stdout, stderr } = await onnxray([...args, '--curves', file, '--out', home.at('why.png')]);
    expect(stderr).toBe('');
    expect(stdout).toBe(`wrote ${home.at('why.png')}\nwrote ${file}\n`);
    const { unit, deletion, insertion } = JSON.parse(readFileSync(file, 'utf8')) as PixelCurves;
    expect(unit).toBe('probability');
    expect(deletion.values[0]).toBeCloseTo(insertion.values.at(-1)!, 5);
    expect(deletion.area).toBeLessThan(0.35);
    expect(insertion.area).toBeGreaterThan(0.55);
  });

  test.each([
    [['--curves', 'x.png'], 2, /cannot tell the format of "x\.png": name it \.svg, \.html or \.json/],
    [['--method', 'grad-cam,layer-cam', '--curves', 'x.svg'], 2, /--curves is for one picture and one method/],
    [
      ['--layer', 'blocks.2.Add', '--method', 'saliency', '--region', '1,1', '--curves', 'nowhere/x.svg'],
      1,
      /cannot write nowhere/,
    ],
  ] as const)('refuses %j', async (flags, code, message) => {
    expectRefusal(await onnxray([...args, ...flags]), code, message);
  });
});
