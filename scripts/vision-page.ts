/**
 * The table and the pictures of docs/vision.md: how far maps are from their references, maps of the zoo's photographs, and curves of
 * one of them.
 *
 *     npx tsx scripts/vision-page.ts [--pictures]    with --pictures without the table
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ExplainableModel, attribute } from '../src/attribution/index.ts';
import { pixelCurves } from '../src/evaluation/index.ts';
import { numbersToData } from '../src/onnx/index.ts';
import { ModelHost } from '../src/runtime/index.ts';
import { contactSheet, curvesSvg, svgToPng } from '../src/views/index.ts';
import type { SheetRow } from '../src/views/index.ts';
import { table, writeBlock } from './blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
const fixtures = path.join(root, 'test/vision/fixtures');
const page = path.join(root, 'docs/vision.md');

interface Fixture {
  readonly dims: readonly number[];
  readonly data: readonly number[];
  readonly target: number;
  readonly cases: readonly {
    readonly method: string;
    readonly reference: string;
    readonly options: Readonly<Record<string, string | number | boolean>>;
    readonly layer?: string;
    readonly data: readonly number[];
  }[];
}

async function writeTable(): Promise<void> {
  const names = readdirSync(fixtures)
    .filter((file) => file.endsWith('.json'))
    .map((file) => path.basename(file, '.json'));
  const errors = new Map<string, Map<string, number>>();
  const sources = new Map<string, Set<string>>();
  for (const name of names) {
    const fixture = JSON.parse(readFileSync(path.join(fixtures, `${name}.json`), 'utf8')) as Fixture;
    const host = await ModelHost.open(path.join(fixtures, `${name}.onnx`), { cache: false, threads: 1 });
    for (const { method, options, layer, data, reference } of fixture.cases) {
      const { explanation } = await attribute(host, {
        inputs: { x: { type: 'float32', dims: fixture.dims, data: numbersToData('float32', fixture.data) } },
        method,
        options,
        target: { label: String(fixture.target), indices: [fixture.target] },
        ...(layer === undefined ? {} : { layer }),
      });
      const scores = Object.values(explanation.attributions)[0]!.data;
      let [difference, size] = [0, 0];
      data.forEach((theirs, at) => {
        difference += (scores[at]! - theirs) ** 2;
        size += theirs ** 2;
      });
      const row = errors.get(method) ?? new Map<string, number>();
      errors.set(method, row.set(name, Math.max(row.get(name) ?? 0, Math.sqrt(difference / Math.max(size, 1e-12)))));
      sources.set(method, (sources.get(method) ?? new Set()).add(reference));
    }
    await host.release();
  }
  const rows = Array.from(errors, ([method, row]) => [
    `\`${method}\``,
    ...names.map((name) => row.get(name)?.toExponential(0) ?? ''),
    [...sources.get(method)!].join(', '),
  ]);
  writeBlock(page, 'references', table(['method', ...names, 'reference'], rows));
}

if (!process.argv.includes('--pictures')) await writeTable();

const model = await ExplainableModel.open(path.join(root, 'zoo/image-imagenet'));
const sheet: SheetRow[] = [];
for (const name of ['cat', 'coffee', 'palace']) {
  const image = path.join(root, 'zoo/photographs', `${name}.jpg`);
  const drawn = [];
  for (const method of ['grad-cam', 'layer-cam', 'eigen-cam', 'finer-cam', 'guided-grad-cam'])
    drawn.push(await model.explain({ image }, { method }));
  sheet.push({ title: name, picture: drawn[0]!.picture, explanations: drawn.map(({ explanation }) => explanation) });
}
writeFileSync(
  path.join(root, 'docs/images/vision-cam.png'),
  await svgToPng(await contactSheet(sheet, { cell: 150 }), 1),
);
const coffee = path.join(root, 'zoo/photographs/coffee.jpg');
const { explanation } = await model.explain({ image: coffee }, { method: 'grad-cam' });
const curves = await pixelCurves(model, coffee, explanation, { steps: 10 });
await model.release();
writeFileSync(
  path.join(root, 'docs/images/vision-curves.svg'),
  await curvesSvg(curves, { title: `grad-cam: ${explanation.target.label}`, side: 150 }),
);
console.log('wrote docs/vision.md, docs/images/vision-cam.png and docs/images/vision-curves.svg');
