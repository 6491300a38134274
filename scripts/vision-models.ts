/**
 * The real detector and the vision transformer of the zoo in docs/vision.md: pictures, and how often maps lie on the thing that
 * was asked about, in scenes of two.
 *
 *     npx tsx scripts/vision-models.ts [detector] [vit]
 *     npx tsx scripts/vision-models.ts published FOLDER     a published transformer, as zoo/build/published_vit.py lays it out
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { ExplainableModel } from '../src/attribution/index.ts';
import { planeScores, pointsAt, relevanceMass } from '../src/evaluation/index.ts';
import { contactSheet, svgToPng } from '../src/views/index.ts';
import type { SheetRow } from '../src/views/index.ts';
import { table, writeBlock } from './blocks.ts';
import { emojiScenes } from './vit-scenes.ts';

const root = path.resolve(import.meta.dirname, '..');
const page = path.join(root, 'docs/vision.md');
const wanted = process.argv.slice(2);
const asks = (part: string) => wanted.length === 0 || wanted.includes(part);

async function draw(name: string, rows: readonly SheetRow[]): Promise<void> {
  const svg = await contactSheet(rows, { cell: 150 });
  writeFileSync(path.join(root, 'docs/images', `${name}.png`), await svgToPng(svg, 1));
  console.log(`wrote docs/images/${name}.png`);
}

/** NanoDet's best box in two photographs. */
async function detector(): Promise<void> {
  const methods = {
    'grad-cam': {},
    'layer-cam': {},
    'integrated-gradients': { steps: 16 },
  };
  const model = await ExplainableModel.open(path.join(root, 'zoo/image-nanodet'));
  const rows: SheetRow[] = [];
  for (const name of ['coffee', 'cameraman']) {
    const image = path.join(root, 'zoo/photographs', `${name}.jpg`);
    const drawn = [];
    for (const [method, options] of Object.entries(methods))
      drawn.push(await model.explain({ image }, { method, options, box: 0 }));
    rows.push({ title: name, picture: drawn[0]!.picture, explanations: drawn.map(({ explanation }) => explanation) });
  }
  await model.release();
  await draw('vision-detector', rows);
}

const SIDE = 96;
const SCENES = 80;
const METHODS = [
  'grad-cam',
  'hires-cam',
  'layer-cam',
  'legrad',
  'rollout',
  'chefer',
  'attn-lrp',
  'input-x-gradient',
  'saliency',
];
/** Methods whose scores of pixels count by size: their sign is the pixel's. */
const BY_SIZE = new Set(['input-x-gradient', 'saliency', 'attn-lrp']);

/** The transformer on scenes of two things: asked about each, does the map lie on it, and not on the other? */
async function transformer(): Promise<void> {
  const model = await ExplainableModel.open(path.join(root, 'zoo/vit-emoji'));
  const scenes = await emojiScenes(SCENES, 11);
  const seen = [];
  for (const scene of scenes) {
    const { explanation } = await model.explain({ image: scene.image }, { method: 'saliency' });
    const best = new Set(explanation.predictions!.slice(0, 2).map(({ label }) => label));
    if (scene.things.every(({ label }) => best.has(label))) seen.push(scene);
  }
  const percent = (values: readonly number[]) =>
    `${((100 * values.reduce((sum, value) => sum + value, 0)) / values.length).toFixed(0)} %`;
  const chance: number[] = [];
  const rows = [];
  for (const method of METHODS) {
    const [on, other, mass]: [number[], number[], number[]] = [[], [], []];
    for (const { image, things } of seen)
      for (const [at, { index, mask }] of things.entries()) {
        const { explanation } = await model.explain({ image }, { method, target: String(index) });
        const scores = planeScores(Object.values(explanation.attributions)[0]!, SIDE, SIDE, BY_SIZE.has(method));
        on.push(Number(pointsAt(scores, mask)));
        other.push(Number(pointsAt(scores, things[1 - at]!.mask)));
        mass.push(relevanceMass(scores, mask));
        if (method === METHODS[0]) chance.push(mask.data.reduce((sum, value) => sum + value, 0) / mask.data.length);
      }
    rows.push([`\`${method}\``, percent(on), percent(other), percent(mass)]);
    console.log(rows.at(-1)!.join('  '));
  }
  const by = percent(chance);
  const content = [
    `${seen.length} of ${SCENES} scenes: those where the model's two best answers are the two things. The map is asked for each of the two.`,
    '',
    table(
      ['method', 'highest on the thing', 'highest on the other', 'relevance mass on the thing'],
      [...rows, ['(by chance)', by, by, by]],
    ),
  ].join('\n');
  writeBlock(page, 'vit', content);
  const sheet: SheetRow[] = [];
  for (const { image, things } of seen.slice(0, 2))
    for (const { label, index } of things) {
      const drawn = [];
      for (const method of ['grad-cam', 'legrad', 'rollout', 'chefer', 'attn-lrp'])
        drawn.push(await model.explain({ image }, { method, target: String(index) }));
      sheet.push({
        title: label,
        picture: drawn[0]!.picture,
        explanations: drawn.map(({ explanation }) => explanation),
      });
    }
  await model.release();
  await draw('vision-vit', sheet);
}

/** What draws the eye of a published ViT-S to a rocket. */
async function published(folder: string): Promise<void> {
  const model = await ExplainableModel.open(folder);
  const image = path.join(root, 'zoo/photographs/rocket.jpg');
  const drawn = [];
  for (const method of ['grad-cam', 'hires-cam', 'rollout', 'input-x-gradient'])
    drawn.push(await model.explain({ image }, { method, region: [320, 200] }));
  await model.release();
  const explanations = drawn.map(({ explanation }) => explanation);
  await draw('vision-published-vit', [{ title: 'rocket', picture: drawn[0]!.picture, explanations }]);
}

if (wanted[0] === 'published') await published(wanted[1]!);
if (asks('detector')) await detector();
if (asks('vit')) await transformer();
