/**
 * Files nobody here wrote, with gradients against central differences in float32.
 *
 *     npm run real-models -- FOLDER...      folders or files of further models, such as the encoders of packages
 *
 * The embedded models are always checked. Text models are differentiated with respect to the embedding their ids select.
 * Prints a table and writes it into docs/real-models.md.
 */
import path from 'node:path';
import {
  ExplainableModel,
  UserError,
  encodeImage,
  encodeText,
  findFeatures,
  gradientCoverage,
  inferGraph,
  loadTokenizer,
  opsetOf,
  openSession,
  requireTokenizer,
  takesText,
  writeModel,
} from 'onnxray';
import type { DenseTensor, NamedTensors } from 'onnxray';
import { table, writeBlock } from '../scripts/blocks.ts';
import {
  beforeSquashing,
  compareWithDifferences,
  outputDifference,
  withInput,
  withOutput,
} from '../test/models/differences.ts';
import { readFileSync } from 'node:fs';

const root = path.resolve(import.meta.dirname, '..');
const TEXT = 'Researchers found that the new method explains what the old one only predicted.';

/** Operators that quantise what flows through them, as dynamically or statically quantised models do. */
const STEPWISE = new Set(['DynamicQuantizeLinear', 'QuantizeLinear', 'MatMulInteger', 'ConvInteger', 'QLinearMatMul']);

async function feedsOf(model: ExplainableModel): Promise<NamedTensors> {
  const { inputs, folder } = model;
  if (!takesText(inputs))
    return (await encodeImage(path.join(root, 'zoo/photographs/cat.jpg'), inputs, folder.preprocessor)).tensors;
  try {
    return encodeText(loadTokenizer(requireTokenizer(folder)), [TEXT], inputs).tensors;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    // A file without its tokenizer: any ids are a text to it.
    const ids = (value: (index: number) => number): DenseTensor => ({
      type: 'int64',
      dims: [1, 24],
      data: BigInt64Array.from({ length: 24 }, (_, index) => BigInt(value(index))),
    });
    return Object.fromEntries(
      inputs.map(({ name }) => [
        name,
        ids((index) => (name.includes('mask') ? 1 : name.includes('type') ? 0 : 1000 + 37 * index)),
      ]),
    );
  }
}

async function check(location: string): Promise<string[]> {
  const model = await ExplainableModel.open(location, { cache: false });
  const { host } = model;
  const canonical = host.model;
  const feeds = await feedsOf(model);
  const off = await outputDifference(readFileSync(host.path), canonical, feeds);
  const feature = findFeatures(canonical)[0]!;
  const of = beforeSquashing(canonical);
  const forward = feature.kind === 'elements' ? canonical : withInput(canonical, feature.value);
  let given: Record<string, DenseTensor> = { ...feeds };
  if (feature.kind === 'tokens') {
    const session = await openSession(writeModel(withOutput(canonical, feature.value)), { threads: 1 });
    const known = Object.fromEntries(Object.entries(feeds).filter(([name]) => session.inputNames.includes(name)));
    given = { ...given, [feature.value]: (await session.run(known))[feature.value]! };
    await session.release();
  }
  const read = new Set(withOutput(forward, of).graph.inputs.map(({ name }) => name));
  const used = Object.fromEntries(Object.entries(given).filter(([name]) => read.has(name)));
  // Activations rounded to integers on the way make steps of the answer: its differences are no gradient's.
  const stepwise = host.original.graph.nodes.some(({ operator }) => STEPWISE.has(operator));
  const comparisons = stepwise
    ? []
    : await compareWithDifferences({
        model: forward,
        of,
        wrt: feature.value,
        feeds: used,
        directions: 3,
      });
  const worst = Math.max(...comparisons.map(({ error }) => error));
  const quantised = [...host.original.graph.initializers.values()].some(
    ({ type }) => type === 'int8' || type === 'uint8',
  );
  const dims = inferGraph(canonical.graph, opsetOf(canonical)).get(feature.value)?.dims;
  const { covered, missing } = gradientCoverage(canonical);
  await model.release();
  return [
    path.relative(root, location).startsWith('..') ? path.basename(location) : path.relative(root, location),
    `${opsetOf(host.original)}`,
    stepwise ? 'int8, activations too' : quantised ? 'int8 weights' : 'float32',
    `${covered} of ${covered + missing.length}`,
    off.toExponential(0),
    `${feature.kind} [${dims?.map((dim) => (typeof dim === 'number' ? dim : '·')).join(', ') ?? ''}]`,
    stepwise ? 'straight-through: not comparable' : worst.toExponential(0),
  ];
}

const rows: string[][] = [];
for (const location of ['zoo/text-spam', 'zoo/image-imagenet', ...process.argv.slice(2)]) {
  const row = await check(path.resolve(root, location));
  console.log(row.join('  '));
  rows.push(row);
}
const header = [
  'model',
  'opset',
  'weights',
  'nodes with a gradient',
  'canonical form against the file',
  'differentiated',
  'gradient against differences, worst relative error',
];
writeBlock(path.join(root, 'docs/real-models.md'), 'real-models', table(header, rows));
