/**
 * Pointing game, relevance mass and the sanity check by randomised layers, on the embedded image model, as tables in docs/vision.md.
 *
 *     npx tsx scripts/vision-evaluation.ts [--quick]    --quick: two scenes and one photograph, and nothing is written
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
import type { Scores } from '../src/explanation/index.ts';
import { seededRandom } from '../src/inputs/index.ts';
import type { DenseTensor } from '../src/onnx/index.ts';
import { writeModel } from '../src/onnx/index.ts';
import { ModelHost } from '../src/runtime/index.ts';
import { table, writeBlock } from './blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
const page = path.join(root, 'docs/vision.md');
const quick = process.argv.includes('--quick');
const SIDE = 224;
const SIZE = SIDE * SIDE;
/** Side of a planted object. */
const SMALL = 112;
/** Places each object is planted at on each other photograph. */
const PLACES = 3;
/** A planted object counts as seen when the model has its class among this many. */
const SEEN = 5;
const METHODS = [
  'grad-cam',
  'grad-cam-plus-plus',
  'layer-cam',
  'hires-cam',
  'eigen-cam',
  'full-grad',
  'guided-grad-cam',
  'saliency',
  'input-x-gradient',
  'guided-backprop',
  'deconvnet',
  'occlusion',
];
const OPTIONS: Readonly<Record<string, Readonly<Record<string, number>>>> = { occlusion: { window: 32, stride: 16 } };
/** A map that is still this like the model's own with the last 16 layers drawn anew does not look at them. */
const UNMOVED = 0.8;
/** Scores of pixels whose sign is that of the pixel, not of evidence: they count by size. */
const UNSIGNED = new Set(['saliency', 'guided-backprop', 'deconvnet', 'input-x-gradient', 'guided-grad-cam']);

const started = performance.now();
const say = (what: string) => process.stderr.write(`${((performance.now() - started) / 1000).toFixed(0)} s  ${what}\n`);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const tensor = (data: Float32Array, rows = 1): DenseTensor => ({ type: 'float32', dims: [rows, 3, SIDE, SIDE], data });

async function scoresOf(host: ModelHost, image: Float32Array, method: string, index: number): Promise<Scores> {
  const { explanation } = await attribute(host, {
    inputs: { pixel_values: tensor(image) },
    method,
    options: OPTIONS[method] ?? {},
    target: { label: String(index), indices: [index] },
  });
  return Object.values(explanation.attributions)[0]!;
}

const model = await ExplainableModel.open(path.join(root, 'zoo/image-imagenet'));
const photographs = readdirSync(path.join(root, 'zoo/photographs')).filter((file) => file.endsWith('.jpg'));
const pictures = new Map<string, Float32Array>();
for (const file of photographs) {
  const { tensors } = await model.encode({ image: path.join(root, 'zoo/photographs', file) });
  pictures.set(path.basename(file, '.jpg'), tensors['pixel_values']!.data as Float32Array);
}

/** The classes of each picture, best first, from one batch. */
async function ranked(images: readonly Float32Array[]): Promise<number[][]> {
  const session = await model.host.openOriginal();
  const batch = new Float32Array(images.length * 3 * SIZE);
  images.forEach((image, row) => batch.set(image, row * 3 * SIZE));
  const { logits } = await session.run({ pixel_values: tensor(batch, images.length) });
  await session.release();
  const values = logits!.data as Float32Array;
  return images.map((_, row) => {
    const own = values.subarray(row * 1000, (row + 1) * 1000);
    return Array.from(own.keys()).sort((left, right) => own[right]! - own[left]!);
  });
}

/** The picture with a small copy of another at (x, y), bilinearly. */
function plant(ground: Float32Array, object: Float32Array, x: number, y: number): Float32Array {
  const result = Float32Array.from(ground);
  for (let c = 0; c < 3; c++) {
    const plane = { dims: [1, SIDE, SIDE], data: object.slice(c * SIZE, (c + 1) * SIZE) };
    const small = planeScores(plane, SMALL, SMALL);
    for (let v = 0; v < SMALL; v++)
      for (let u = 0; u < SMALL; u++) result[(c * SIDE + y + v) * SIDE + x + u] = small[v * SMALL + u]!;
  }
  return result;
}

interface SceneOfTwo {
  readonly image: Float32Array;
  readonly mask: Mask;
  readonly target: number;
}

async function plantedScenes(classes: ReadonlyMap<string, number>): Promise<SceneOfTwo[]> {
  const random = seededRandom(7);
  const all: SceneOfTwo[] = [];
  for (const [object, pixels] of pictures)
    for (const [ground, groundPixels] of [...pictures].flatMap((picture) =>
      Array.from({ length: PLACES }, () => picture),
    )) {
      if (object === ground) continue;
      const [x, y] = [Math.floor(random() * (SIDE - SMALL)), Math.floor(random() * (SIDE - SMALL))];
      const mask: Mask = { height: SIDE, width: SIDE, data: new Uint8Array(SIZE) };
      for (let v = y; v < y + SMALL; v++) mask.data.fill(1, v * SIDE + x, v * SIDE + x + SMALL);
      all.push({ image: plant(groundPixels, pixels, x, y), mask, target: classes.get(object)! });
    }
  const best: number[][] = [];
  for (let from = 0; from < all.length; from += 16)
    best.push(...(await ranked(all.slice(from, from + 16).map(({ image }) => image))));
  return all.filter(({ target }, at) => best[at]!.slice(0, SEEN).includes(target));
}

async function localisation(scenes: readonly SceneOfTwo[], drawn: number): Promise<string> {
  const rows: string[][] = [];
  for (const method of METHODS) {
    const [hits, masses]: [number[], number[]] = [[], []];
    for (const { image, mask, target } of scenes) {
      const found = await scoresOf(model.host, image, method, target);
      const scores = planeScores(found, SIDE, SIDE, UNSIGNED.has(method));
      hits.push(Number(pointsAt(scores, mask)));
      masses.push(relevanceMass(scores, mask));
    }
    rows.push([`\`${method}\``, `${(mean(hits) * 100).toFixed(0)} %`, `${(mean(masses) * 100).toFixed(0)} %`]);
    say(`localisation: ${rows.at(-1)!.join(', ')}`);
  }
  const chance = `${((SMALL / SIDE) ** 2 * 100).toFixed(0)} %`;
  return [
    `${scenes.length} of ${drawn} pictures: those where the model has the planted class among its best ${SEEN}. The object covers ${chance} of each.`,
    '',
    table(['method', 'pointing game', 'relevance mass'], [...rows, ['(by chance)', chance, chance]]),
  ].join('\n');
}

/** Maps of a layer in their own cells, scores of pixels as a plane; by size. */
function plane(scores: Scores): Float64Array {
  const [rows, columns] = scores.dims.length === 3 ? (scores.dims.slice(1) as [number, number]) : [SIDE, SIDE];
  return planeScores(scores, rows, columns, true);
}

async function sanity(classes: ReadonlyMap<string, number>, names: readonly string[]): Promise<string> {
  const all = layerWeights(model.host.original).length;
  const depths = quick ? [1, all] : [1, 2, 4, 8, 16, all];
  const original = new Map<string, Float64Array>();
  for (const method of METHODS)
    for (const name of names)
      original.set(
        `${method} ${name}`,
        plane(await scoresOf(model.host, pictures.get(name)!, method, classes.get(name)!)),
      );
  say('sanity: maps of the model itself');
  const kept = new Map<string, string[]>(METHODS.map((method) => [method, []]));
  const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-sanity-'));
  try {
    for (const depth of depths) {
      const file = path.join(folder, `${depth}.onnx`);
      writeFileSync(file, writeModel(randomizeLayers(model.host.original, depth, 1)));
      const host = await ModelHost.open(file, { cache: false });
      for (const method of METHODS) {
        const correlations: number[] = [];
        for (const name of names) {
          const drawn = plane(await scoresOf(host, pictures.get(name)!, method, classes.get(name)!));
          correlations.push(rankCorrelation(original.get(`${method} ${name}`)!, drawn));
        }
        kept.get(method)!.push(mean(correlations).toFixed(2));
      }
      await host.release();
      say(`sanity: last ${depth}: ${METHODS.map((method) => `${method} ${kept.get(method)!.at(-1)}`).join(', ')}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const unmoved = METHODS.filter((method) => Number(kept.get(method)!.at(-2)) > UNMOVED);
  return [
    `Means over ${names.length} photographs. Above ${UNMOVED} with the last ${depths.at(-2)} layers drawn anew: ${unmoved.map((method) => `\`${method}\``).join(', ') || 'none'}.`,
    '',
    table(
      ['method', ...depths.map((depth) => (depth === all ? `all ${all} layers` : `last ${depth}`))],
      METHODS.map((method) => [`\`${method}\``, ...kept.get(method)!]),
    ),
  ].join('\n');
}

try {
  const best = await ranked([...pictures.values()]);
  const classes = new Map([...pictures.keys()].map((name, at) => [name, best[at]![0]!]));
  const scenes = await plantedScenes(classes);
  say(`${scenes.length} scenes`);
  const drawn = PLACES * pictures.size * (pictures.size - 1);
  const located = await localisation(quick ? scenes.slice(0, 2) : scenes, drawn);
  console.log(located);
  const checked = await sanity(classes, quick ? ['coffee'] : ['cat', 'coffee', 'palace']);
  console.log(checked);
  if (!quick) {
    writeBlock(page, 'localisation', located);
    writeBlock(page, 'sanity', checked);
  }
} finally {
  await model.release();
}
