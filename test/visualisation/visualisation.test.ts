import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { numbersWeight, writeModel } from '../../src/onnx/index.ts';
import { seededRandom } from '../../src/inputs/index.ts';
import { openSession } from '../../src/runtime/index.ts';
import { visualisationSheet } from '../../src/views/index.ts';
import {
  VISUALISATION,
  compileVisualisation,
  findPictures,
  invertLayer,
  parameterDims,
  serializeVisualisation,
  visualiseFeatures,
} from '../../src/visualisation/index.ts';
import type { VisualisationRequest } from '../../src/visualisation/index.ts';
import { makeModel, makeNode } from '../models.ts';

const SIDE = 16;
const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-visualisation-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const random = seededRandom(3);
/** A filter of 5 x 5 over three colours: an edge in red; and two random ones. */
const edge = Array.from({ length: 75 }, (_, at) => (at >= 25 || at % 5 === 2 ? 0 : at % 5 < 2 ? -1 : 1));
const filters = [...edge, ...Array.from({ length: 2 * 75 }, () => random() - 0.5)];
const model = makeModel({
  inputs: [{ name: 'pixel_values', type: 'float32', dims: ['batch', 3, SIDE, SIDE] }],
  outputs: [{ name: 'logits', type: 'float32', dims: ['batch', 3] }],
  initializers: new Map([['w', numbersWeight('float32', [3, 3, 5, 5], filters)]]),
  nodes: [
    makeNode('Conv', ['pixel_values', 'w'], ['maps']),
    makeNode('Relu', ['maps'], ['active']),
    makeNode('GlobalAveragePool', ['active'], ['pooled']),
    makeNode('Flatten', ['pooled'], ['logits']),
  ],
});
const file = path.join(folder, 'model.onnx');
let opened: ExplainableModel;
beforeAll(async () => {
  writeFileSync(file, writeModel(model));
  writeFileSync(
    path.join(folder, 'preprocessor_config.json'),
    JSON.stringify({ size: { height: SIDE, width: SIDE }, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] }),
  );
  opened = await ExplainableModel.open(file);
});
afterAll(() => opened.release());

const request = (space: 'fourier' | 'pixels', objective: 'linear' | 'match' = 'linear'): VisualisationRequest => ({
  kind: 'visualisation',
  canvas: { height: SIDE, width: SIDE, channels: 3 },
  parametrisation: { space, decay: 1 },
  plan: {
    input: 'pixel_values',
    layout: 'NCHW',
    scale: [2 / 255, 2 / 255, 2 / 255],
    shift: [-1, -1, -1],
    bgr: false,
  },
  value: 'maps',
  objective,
});

/** The program of a request, run on parameters. */
async function openProgram(asked: VisualisationRequest) {
  const session = await openSession(writeModel(compileVisualisation(model, asked)), { threads: 1 });
  const dims = [1, ...parameterDims(asked.canvas, asked.parametrisation)];
  const run = (parameters: Float32Array, aim: Float32Array, map: readonly number[], price: number) =>
    session.run({
      [VISUALISATION.parameters]: { type: 'float32', dims, data: parameters },
      [VISUALISATION.maps]: { type: 'float32', dims: [1, 6], data: Float32Array.from(map) },
      [VISUALISATION.aim]: { type: 'float32', dims: [1, 3, 12, 12], data: aim },
      [VISUALISATION.roughness]: { type: 'float32', dims: [], data: Float32Array.of(price) },
    });
  return { run, size: dims.reduce((product, dim) => product * dim, 1), release: () => session.release() };
}

/** Mean squared difference of neighbours, down and across. */
function roughness(picture: Float32Array): number {
  let sum = 0;
  for (let c = 0; c < 3; c++)
    for (let y = 0; y < SIDE; y++)
      for (let x = 0; x < SIDE; x++) {
        const from = (c * SIDE + y) * SIDE + x;
        if (y + 1 < SIDE) sum += (picture[from + SIDE]! - picture[from]!) ** 2;
        if (x + 1 < SIDE) sum += (picture[from + 1]! - picture[from]!) ** 2;
      }
  return sum / (3 * SIDE * (SIDE - 1));
}

test.each([
  ['fourier', 'linear'],
  ['pixels', 'linear'],
  ['fourier', 'match'],
] as const)(
  'the gradient in %s, %s, is that of finite differences, through turning, colours and the price of roughness',
  async (space, objective) => {
    const program = await openProgram(request(space, objective));
    const noise = seededRandom(5);
    const parameters = Float32Array.from({ length: program.size }, () => noise() - 0.5);
    const aim = Float32Array.from({ length: 3 * 12 * 12 }, () => noise() - 0.5);
    const [map, price] = [[0.98, 0.2, 1.3, -0.2, 0.98, -2.1], 30];
    const results = await program.run(parameters, aim, map, price);
    const gradient = results[VISUALISATION.gradient]!.data as Float32Array;
    const wanted = async (at: number, shift: number) => {
      const moved = Float32Array.from(parameters);
      moved[at]! += shift;
      const each = await program.run(moved, aim, map, price);
      const score = (each[VISUALISATION.scores]!.data as Float32Array)[0]!;
      return score - price * roughness(each[VISUALISATION.picture]!.data as Float32Array);
    };
    const largest = Math.max(...gradient.map(Math.abs));
    for (const at of [0, 1, 7, 40, 77, 130, 201, 300, program.size - 1]) {
      const slope = ((await wanted(at, 0.02)) - (await wanted(at, -0.02))) / 0.04;
      expect(Math.abs(slope - gradient[at]!)).toBeLessThan(0.02 * largest);
    }
    await program.release();
  },
);

test('the spectrum of one frequency is a wave of that frequency', async () => {
  const program = await openProgram(request('fourier'));
  const parameters = new Float32Array(program.size);
  // The first colour, which is bright or dark: two waves down, one across.
  parameters[2 * 9 + 1] = 1;
  const results = await program.run(parameters, new Float32Array(432), [1, 0, 0, 0, 1, 0], 0);
  await program.release();
  const red = (results[VISUALISATION.picture]!.data as Float32Array).subarray(0, SIDE * SIDE);
  const plain = (value: number) => Math.log(value / (1 - value));
  const height = plain(red[0]!);
  expect(height).toBeGreaterThan(0.01);
  for (let y = 0; y < SIDE; y++)
    for (let x = 0; x < SIDE; x++)
      expect(plain(red[y * SIDE + x]!)).toBeCloseTo(height * Math.cos((2 * Math.PI * (2 * y + x)) / SIDE), 4);
});

test('a linear filter is recovered: the picture for one place is the filter there', async () => {
  const aim = new Float32Array(3 * 12 * 12);
  aim[6 * 12 + 6] = 1;
  const [found] = await findPictures(opened.host, request('pixels'), [aim], {
    steps: 60,
    rate: 0.1,
    roughness: 0,
    robustness: { jitter: 0, scale: 0, rotate: 0 },
    seed: 1,
  });
  expect(found!.score).toBeGreaterThan(found!.startScore);
  // Red brightens where the filter is positive and darkens where it is negative.
  for (let y = 0; y < 5; y++)
    for (let x = 0; x < 5; x++) {
      const weight = edge[y * 5 + x]!;
      const red = found!.picture[(6 + y) * SIDE + 6 + x]!;
      if (weight > 0) expect(red).toBeGreaterThan(0.9);
      if (weight < 0) expect(red).toBeLessThan(0.1);
    }
});

describe('units of a model', () => {
  const options = { steps: 30 };

  test('answer more to what is found than to noise, the same for the same seed, alone or beside others', async () => {
    const both = await visualiseFeatures(opened, { layer: 'Relu_active', channels: [0, 2] }, { options, seed: 4 });
    expect(both.units.map(({ label, indices }) => [label, indices])).toEqual([
      ['Relu_active[0]', [0]],
      ['Relu_active[2]', [2]],
    ]);
    for (const { pictures } of both.units) expect(pictures[0]!.value).toBeGreaterThan(pictures[0]!.startValue! + 0.1);
    const second = { layer: 'Relu_active', channels: [2] };
    const alone = await visualiseFeatures(opened, second, { options, seed: 4 });
    const beside = both.units[1]!.pictures[0]!.data;
    const differences = alone.units[0]!.pictures[0]!.data.map((each, at) => Math.abs(each - beside[at]!));
    expect(Math.max(...differences)).toBeLessThanOrEqual(1);
    const other = await visualiseFeatures(opened, second, { options, seed: 5 });
    expect(other.units[0]!.pictures[0]!.data).not.toEqual(alone.units[0]!.pictures[0]!.data);
    expect(both.options).toMatchObject({ steps: 30, learning_rate: 0.05, jitter: 0, rotate: 10, seed: 4 });
    expect(both.runtime.passes).toBe(2 * 32);
  });

  test('are channels, places, directions and classes', async () => {
    const neuron = await visualiseFeatures(opened, { layer: 'Conv_maps', neuron: [1, 3, 3] }, { options });
    const direction = await visualiseFeatures(opened, { layer: 'Conv_maps', direction: [1, -1, 0] }, { options });
    const target = await visualiseFeatures(opened, { target: '1' }, { options });
    for (const { units } of [neuron, direction, target])
      expect(units[0]!.pictures[0]!.value).toBeGreaterThan(units[0]!.pictures[0]!.startValue!);
    expect([neuron.layer, target.layer]).toEqual(['Conv_maps', 'logits']);
  });

  test('that there are not are named in one line', async () => {
    const layer = 'Conv_maps';
    const refused = [
      [{ layer: 'Conv', channels: [0] }, 'the model has no layer "Conv"; did you mean "Conv_maps"?'],
      [{ layer, channels: [3] }, 'layer "Conv_maps" has no channel 3: it has 3, from 0'],
      [{ layer, channels: [-1] }, 'layer "Conv_maps" has no channel -1: it has 3, from 0'],
      [{ layer, channels: [0.5] }, 'layer "Conv_maps" has no channel 0.5: it has 3, from 0'],
      [{ layer, channels: [] }, 'no channel of layer "Conv_maps" is named'],
      [{ layer, neuron: [0, -1, 0] }, 'neuron 0,-1,0 is not in layer "Conv_maps", which is [3, 12, 12]'],
      [{ layer, neuron: [0, 12, 0] }, 'neuron 0,12,0 is not in layer "Conv_maps", which is [3, 12, 12]'],
      [{ layer, direction: [1] }, 'the direction has 1 numbers, but layer "Conv_maps" has 3 channels'],
      [{ target: '0-1' }, 'one class at a time'],
    ] as const;
    for (const [wanted, message] of refused) await expect(visualiseFeatures(opened, wanted)).rejects.toThrow(message);
    const misspelt = visualiseFeatures(opened, { target: '0' }, { options: { stepz: 1 } });
    await expect(misspelt).rejects.toThrow('has no option "stepz"');
  });
});

test('channels are those of the last axis in a layer that has them there', async () => {
  const turned = makeModel({
    ...model.graph,
    initializers: [...model.graph.initializers, ['one', numbersWeight('float32', [1], [1])]],
    nodes: [
      makeNode('Conv', ['pixel_values', 'w'], ['maps']),
      makeNode('Transpose', ['maps'], ['turned'], { perm: { kind: 'ints', value: [0, 2, 3, 1] } }),
      makeNode('Mul', ['turned', 'one'], ['last']),
      makeNode('Transpose', ['last'], ['back'], { perm: { kind: 'ints', value: [0, 3, 1, 2] } }),
      makeNode('GlobalAveragePool', ['back'], ['pooled']),
      makeNode('Flatten', ['pooled'], ['logits']),
    ],
  });
  const place = path.join(folder, 'turned.onnx');
  writeFileSync(place, writeModel(turned));
  const last = await ExplainableModel.open(place);
  const options = { steps: 20 };
  const there = await visualiseFeatures(last, { layer: 'Mul_last', channels: [2] }, { options });
  const before = await visualiseFeatures(last, { layer: 'Conv_maps', channels: [2] }, { options });
  expect(there.units[0]!.pictures[0]!.value).toBeCloseTo(before.units[0]!.pictures[0]!.value, 4);
  await expect(visualiseFeatures(last, { layer: 'Mul_last', channels: [3] })).rejects.toThrow('it has 3, from 0');
  await last.release();
});

test('a layer is inverted: what is found gives it nearly the values of the photograph', async () => {
  const pixels = {
    width: SIDE,
    height: SIDE,
    channels: 3,
    data: Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, at) => (Math.floor(at / 3) % SIDE < 8 ? 60 : 190)),
  };
  const found = await invertLayer(opened, pixels, 'Conv_maps', { options: { steps: 200, tv: 0.01 } });
  const [picture] = found.units[0]!.pictures;
  expect(picture!.value).toBeGreaterThan(-0.05);
  expect(picture!.startValue).toBeLessThan(-0.5);
});

test('the result is one JSON document and one sheet', async () => {
  const found = await visualiseFeatures(opened, { layer: 'Conv_maps', channels: [0] }, { options: { steps: 2 } });
  const parsed = JSON.parse(serializeVisualisation(found)) as {
    units: { pictures: { data: number[] }[] }[];
    model: object;
  };
  expect(parsed.units[0]!.pictures[0]!.data).toHaveLength(SIDE * SIDE * 3);
  expect(parsed.model).toEqual({ path: file, sha256: opened.host.sha256 });
  expect(await visualisationSheet(found)).toMatch(/<image [^>]*href="data:image\/png;base64,[\s\S]*Conv_maps\[0\]/);
});

test('a model that takes no picture is refused', async () => {
  const numbers = path.join(folder, 'numbers.onnx');
  const value = (name: string) => ({ name, type: 'float32', dims: [1, 4] }) as const;
  const plain = makeModel({ inputs: [value('x')], outputs: [value('y')], nodes: [makeNode('Neg', ['x'], ['y'])] });
  writeFileSync(numbers, writeModel(plain));
  const other = await ExplainableModel.open(numbers);
  await expect(visualiseFeatures(other, { target: '1' })).rejects.toThrow('the model takes no picture');
  await other.release();
});

describe('the command line', () => {
  const command = path.resolve(import.meta.dirname, '../../dist/cli/bin.js');
  const cli = (...rest: string[]) => promisify(execFile)(process.execPath, [command, 'visualise', file, ...rest]);

  test('writes a sheet', async () => {
    const out = path.join(folder, 'sheet.png');
    const { stdout } = await cli('--layer', 'Conv_maps', '--channel', '0,1', '--option', 'steps=4', '--out', out);
    expect(stdout).toMatch(/^Conv_maps\[0\] {2}\S+ -> \S+\nConv_maps\[1\] {2}.*\nwrote /);
    expect((await sharp(readFileSync(out)).metadata()).format).toBe('png');
  });

  test.each([
    [[], 'say what to make visible'],
    [['--channel', '1'], 'say of which layer: --layer PATH'],
    [['--layer', 'x', '--channel', 'x'], '--channel takes numbers such as'],
    [['--layer', 'x', '--target', '1'], '--target is a class of the answer: leave --layer out'],
    [['--target', '1', '--out', 'x.gif'], 'cannot tell the format of "x.gif"'],
  ])('refuses %j with exit code 2', async (flags, message) => {
    const error = (await cli(...flags).catch((thrown: unknown) => thrown)) as { code: number; stderr: string };
    expect(error.code).toBe(2);
    expect(error.stderr).toMatch(/^onnxray: [^\n]*\n$/);
    expect(error.stderr).toContain(message);
  });
});
