/**
 * Pointing game, relevance mass and the sanity check by randomised layers, on the embedded image model, as tables in docs/vision.md.
 *
 *     npx tsx scripts/vision-evaluation.ts
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ExplainableModel, attribute } from '../src/attribution/index.ts';
import {
  layerWeights,
  planeScores,
  pointsAt,
  randomizeLayers,
  rankCorrelation,
  relevanceMass,
} from '../src/evaluation/index.ts';
import type { Mask } from '../src/evaluation/index.ts';
import { seededRandom } from '../src/inputs/index.ts';
import type { DenseTensor } from '../src/onnx/index.ts';
import { writeModel } from '../src/onnx/index.ts';
import { ModelHost } from '../src/runtime/index.ts';
import { table, writeBlock } from './blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
const page = path.join(root, 'docs/vision.md');
const SIDE = 224;
/** Side of a planted object. */
const SMALL = 96;
const METHODS =
  'grad-cam grad-cam-plus-plus layer-cam hires-cam eigen-cam full-grad guided-grad-cam saliency input-x-gradient guided-backprop'.split(
    ' ',
  );
const UNSIGNED = new Set(['saliency', 'guided-backprop', 'input-x-gradient', 'guided-grad-cam']);

const model = await ExplainableModel.open(path.join(root, 'zoo/image-imagenet'));
const photographs = readdirSync(path.join(root, 'zoo/photographs')).filter((file) => file.endsWith('.jpg'));
const pictures = new Map<string, Float32Array>();
for (const file of photographs) {
  const { tensors } = await model.encode({ image: path.join(root, 'zoo/photographs', file) });
  pictures.set(file, tensors['pixel_values']!.data as Float32Array);
}
const tensor = (data: Float32Array): DenseTensor => ({ type: 'float32', dims: [1, 3, SIDE, SIDE], data });
const best = (answer: DenseTensor): number => {
  const values = answer.data as Float32Array;
  return values.indexOf(Math.max(...values));
};

/** The picture with a small copy of another at (x, y), bilinearly. */
function plant(ground: Float32Array, object: Float32Array, x: number, y: number): Float32Array {
  const result = Float32Array.from(ground);
  for (let c = 0; c < 3; c++) {
    const plane = { dims: [1, SIDE, SIDE], data: object.slice(c * SIDE * SIDE, (c + 1) * SIDE * SIDE) };
    const small = planeScores(plane, SMALL, SMALL);
    for (let v = 0; v < SMALL; v++)
      for (let u = 0; u < SMALL; u++) result[(c * SIDE + y + v) * SIDE + x + u] = small[v * SMALL + u]!;
  }
  return result;
}

const classes = new Map<string, number>();
for (const [file, data] of pictures) {
  const { answer } = await attribute(model.host, {
    inputs: { pixel_values: tensor(data) },
    method: 'grad-cam',
    target: (a) => ({ label: '', indices: [best(a)] }),
  });
  classes.set(file, best(answer));
}
const random = seededRandom(7);
const hits = new Map<string, number[]>(METHODS.map((method) => [method, []]));
const masses = new Map<string, number[]>(METHODS.map((method) => [method, []]));
let scenes = 0;
for (const [object, objectPixels] of pictures)
  for (const [ground, groundPixels] of pictures) {
    if (object === ground) continue;
    const [x, y] = [Math.floor(random() * (SIDE - SMALL)), Math.floor(random() * (SIDE - SMALL))];
    const inputs = { pixel_values: tensor(plant(groundPixels, objectPixels, x, y)) };
    const mask: Mask = { height: SIDE, width: SIDE, data: new Uint8Array(SIDE * SIDE) };
    for (let v = y; v < y + SMALL; v++) mask.data.fill(1, v * SIDE + x, v * SIDE + x + SMALL);
    scenes++;
    for (const method of METHODS) {
      const target = { label: object, indices: [classes.get(object)!] };
      const { explanation } = await attribute(model.host, { inputs, method, target });
      const scores = planeScores(Object.values(explanation.attributions)[0]!, SIDE, SIDE, UNSIGNED.has(method));
      hits.get(method)!.push(Number(pointsAt(scores, mask)));
      masses.get(method)!.push(relevanceMass(scores, mask));
    }
  }
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const chance = (SMALL / SIDE) ** 2;
const localisation = [
  `${scenes} pictures; the object covers ${(chance * 100).toFixed(0)} % of each.`,
  '',
  table(
    ['method', 'pointing game', 'relevance mass'],
    METHODS.map((method) => [
      `\`${method}\``,
      `${(mean(hits.get(method)!) * 100).toFixed(0)} %`,
      `${(mean(masses.get(method)!) * 100).toFixed(0)} %`,
    ]),
  ),
].join('\n');
console.log(localisation);
writeBlock(page, 'localisation', localisation);

const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-sanity-'));
try {
  const all = layerWeights(model.host.original).length;
  const depths = [1, 2, 8, all];
  const image = pictures.get('coffee.jpg')!;
  const target = { label: 'coffee', indices: [classes.get('coffee.jpg')!] };
  const draw = async (host: ModelHost, method: string) => {
    const { explanation } = await attribute(host, { inputs: { pixel_values: tensor(image) }, method, target });
    const [scores] = Object.values(explanation.attributions);
    // Maps of a layer in their own cells, scores of pixels as a plane.
    const [rows, columns] = scores!.dims.length === 3 ? (scores!.dims.slice(1) as [number, number]) : [SIDE, SIDE];
    return planeScores(scores!, rows, columns, true);
  };
  const original = new Map<string, Float64Array>();
  for (const method of METHODS) original.set(method, await draw(model.host, method));
  const kept = new Map<string, number[]>(METHODS.map((method) => [method, []]));
  for (const depth of depths) {
    const file = path.join(folder, `${depth}.onnx`);
    writeFileSync(file, writeModel(randomizeLayers(model.host.original, depth, 1)));
    const host = await ModelHost.open(file, { cache: false });
    for (const method of METHODS)
      kept.get(method)!.push(rankCorrelation(original.get(method)!, await draw(host, method)));
    await host.release();
  }
  const sanity = table(
    ['method', ...depths.map((depth) => (depth === all ? `all ${all} layers` : `last ${depth}`))],
    METHODS.map((method) => [`\`${method}\``, ...kept.get(method)!.map((value) => value.toFixed(2))]),
  );
  console.log(sanity);
  writeBlock(page, 'sanity', sanity);
} finally {
  rmSync(folder, { recursive: true, force: true });
  await model.release();
}
