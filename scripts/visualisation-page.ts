/**
 * The pictures of docs/vision.md that units of the embedded image model look for, what its layers keep of a photograph, and what of
 * the zoo's photographs excites channels most.
 *
 *     npx tsx scripts/visualisation-page.ts [--steps 200] [--patches]    with --patches only the last of these
 */
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ExplainableModel } from '../src/attribution/index.ts';
import { svgToPng, visualisationSheet } from '../src/views/index.ts';
import { invertLayer, topPatches, visualiseFeatures } from '../src/visualisation/index.ts';
import type { VisualisedUnit } from '../src/visualisation/index.ts';
import { table, writeBlock } from './blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
const flag = process.argv.indexOf('--steps');
const options = { steps: flag < 0 ? 200 : Number(process.argv[flag + 1]) };
const model = await ExplainableModel.open(path.join(root, 'zoo/image-imagenet'));
const units: VisualisedUnit[] = [];
const say = (found: { readonly units: readonly VisualisedUnit[] }) => {
  units.push(...found.units);
  for (const { label, pictures } of found.units) process.stderr.write(`${label} ${pictures[0]!.value}\n`);
};
const photographs = path.join(root, 'zoo/photographs');

async function drawPatches(): Promise<void> {
  const files = readdirSync(photographs)
    .filter((file) => file.endsWith('.jpg'))
    .map((file) => path.join(photographs, file));
  const found = await topPatches(model, files, { layer: 'blocks.2.Add', channels: [0, 2, 5, 7], top: 6 });
  writeFileSync(path.join(root, 'docs/images/vision-patches.png'), await svgToPng(await visualisationSheet(found), 1));
}

async function drawUnits(): Promise<void> {
  say(await visualiseFeatures(model, { layer: 'blocks.1.act2.Clip', channels: [5] }, { options }));
  say(await visualiseFeatures(model, { layer: 'blocks.4.Add', channels: [7] }, { options }));
  say(await visualiseFeatures(model, { layer: 'blocks.9.Add', channels: [3] }, { options }));
  for (const target of ['daisy', 'goldfish']) say(await visualiseFeatures(model, { target }, { options }));
  const cat = path.join(photographs, 'cat.jpg');
  for (const layer of ['blocks.1.act2.Clip', 'blocks.4.Add', 'blocks.9.Add'])
    say(await invertLayer(model, cat, layer, { options }));

  const sheet = await visualisationSheet({ method: 'feature-visualisation', units }, { cell: 180 });
  writeFileSync(path.join(root, 'docs/images/vision-units.png'), await svgToPng(sheet, 1));
  const rows = units.map(({ label, pictures: [picture] }) => [
    `\`${label}\``,
    picture!.startValue!.toPrecision(3),
    picture!.value.toPrecision(3),
  ]);
  writeBlock(path.join(root, 'docs/vision.md'), 'units', table(['unit', 'noise', 'picture found'], rows));
}

try {
  await drawPatches();
  if (!process.argv.includes('--patches')) await drawUnits();
} finally {
  await model.release();
}
