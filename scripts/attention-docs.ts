/**
 * Writes what docs/attention.md shows: the list of analyses with their options, how far each is from its reference on the
 * small models of test/attention/fixtures, and the pictures.
 *
 *     npx tsx scripts/attention-docs.ts
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  ANALYSES,
  ExplainableModel,
  alti,
  altiPlus,
  analyseAttention,
  attentionNorms,
  captureAttention,
  chefer,
  effectiveAttention,
  flow,
  globenc,
  rollout,
  transformerAttribution,
} from '../src/index.ts';
import type { AttentionTarget, Scores, TokenText } from '../src/index.ts';
import { renderAttention } from '../src/views/index.ts';
import sharp from 'sharp';
import type { Dense, Reference } from '../test/attention/references.ts';
import { EXPORTS, FOLDER, difference, inputsOf, openFixture, reference } from '../test/attention/references.ts';
import { table, writeBlock } from './blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
const document = path.join(root, 'docs/attention.md');

// --- the list ---

const NEEDS = { input: 'one input', target: 'one answer', nothing: '' } as const;
const list = ANALYSES.map(({ name, summary, options, needs }) => {
  const named = Object.entries(options).map(([key, spec]) => {
    const values = spec.kind === 'choice' ? spec.choices.join(', ') : spec.kind;
    return `\`${key}\` (${values}; ${spec.default === null || spec.default === '' ? 'no default' : spec.default}): ${spec.help}`;
  });
  return [`\`${name}\``, summary, named.join('<br>').replaceAll('|', '\\|'), NEEDS[needs]];
});
writeBlock(document, 'analyses', table(['analysis', 'what it shows', 'options (default)', 'of'], list));

// --- errors against references ---

const errors = new Map<string, Map<string, number>>();
function note(analysis: string, name: string, ours: Scores | undefined, theirs: Dense): void {
  const row = errors.get(analysis) ?? new Map<string, number>();
  errors.set(analysis, row);
  const largest = Math.max(...theirs.data.map(Math.abs), 1e-6);
  const apart = ours === undefined ? Number.NaN : difference(ours.data, theirs.data) / largest;
  row.set(name, Math.max(row.get(name) ?? 0, apart));
}

function targetOf({ logits }: Reference, spec: string): AttentionTarget {
  const dims = [1, ...logits.dims.slice(1)];
  const data = new Float32Array(dims.reduce((left, right) => left * right, 1));
  data[spec.split(',').reduce((flat, index, axis) => flat * dims[axis + 1]! + Number(index), 0)] = 1;
  return { output: 'logits', weights: { dims, data } };
}

const columns: string[] = [];
for (const name of EXPORTS) {
  const given = reference(name);
  const file = path.join(FOLDER, `${name.replace(/-(eager|sdpa)$/, '')}.analyses.json`);
  const more = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, Dense & readonly Dense[]>>)
    : {};
  const both = path.join(FOLDER, 'alti-plus', path.basename(file).replace('.analyses', ''));
  if (given.analyses === undefined && more['chefer'] === undefined && !existsSync(both)) continue;
  columns.push(name);
  const host = await openFixture(name);
  const tensors = inputsOf(given, host, 1);
  const plain = given.analyses?.values as Readonly<Record<string, Dense & readonly Dense[]>> | undefined;
  if (plain !== undefined) {
    const target = targetOf(given, given.analyses!.target);
    note('rollout', name, await rollout(host, tensors), plain['rollout']!);
    note('rollout', name, await rollout(host, tensors, { fusion: 'max', residual: 0.3 }), plain['rollout-max']!);
    note('rollout', name, await rollout(host, tensors, { fusion: 'min', discard: 0.4 }), plain['rollout-discard']!);
    note('flow', name, await flow(host, tensors), plain['flow']!);
    const maps = await chefer(host, tensors, target);
    note('chefer', name, maps.encoder ?? maps.decoder, plain['chefer']!);
    const values = ['gradient-x-attention', 'importance'] as const;
    for (const [at, block] of (await captureAttention(host, tensors, { values, target })).entries())
      for (const what of values) note(what, name, block.values[what], plain[what]![at]!);
  }
  if (more['alti'] !== undefined) {
    for (const [of, key] of [
      ['attention', 'norms'],
      ['residual', 'norms-residual'],
      ['layer-norm', 'norms-layer-norm'],
    ] as const)
      for (const [at, { norms }] of (await attentionNorms(host, tensors, { of })).entries())
        note(`norms, of=${of}`, name, norms, more[key]![at]!);
    note('alti', name, (await alti(host, tensors)).map, more['alti']);
    for (const [at, { attention }] of (await effectiveAttention(host, tensors)).entries())
      note('effective', name, attention, more['effective']![at]!);
  }
  if (more['globenc'] !== undefined) note('globenc', name, (await globenc(host, tensors)).map, more['globenc']);
  if (more['transformer-attribution'] !== undefined) {
    const map = await transformerAttribution(host, tensors, targetOf(given, '1'));
    note('transformer-attribution', name, map, more['transformer-attribution']);
  }
  if (more['chefer'] !== undefined) {
    const { target, chefer: theirs } = more as unknown as { target: string; chefer: Readonly<Record<string, Dense>> };
    const maps = await chefer(host, tensors, targetOf(given, target));
    for (const kind of ['encoder', 'decoder', 'cross'] as const) note('chefer', name, maps[kind], theirs[kind]!);
  }
  if (existsSync(both)) {
    const theirs = JSON.parse(readFileSync(both, 'utf8')) as Readonly<Record<'source' | 'target', Dense>>;
    const ours = await altiPlus(host, tensors);
    for (const part of ['source', 'target'] as const) note('alti-plus', name, ours[part], theirs[part]);
  }
  await host.release();
}
const cell = (value: number | undefined) => (value === undefined ? '' : value.toExponential(0));
const rows = Array.from(errors, ([analysis, row]) => [
  `\`${analysis}\``,
  ...columns.map((name) => cell(row.get(name))),
]);
const content = table(['analysis', ...columns], rows);
console.log(content);
writeBlock(document, 'references', content);

// --- pictures ---

const TEXT = 'Claim your free prize now, just reply with your bank details!';
const model = await ExplainableModel.open(path.join(root, 'zoo/text-spam'));
const encoded = await model.encode({ text: TEXT });
if (encoded.kind !== 'text') throw new Error('a text is encoded as a text');
const text: TokenText = {
  tokens: encoded.encoding.tokens,
  special: encoded.encoding.offsets.map((range) => range === null),
};
for (const [file, request] of [
  ['attention-model', {}],
  ['attention-head', { layer: '2', head: 5 }],
  ['attention-entropy', { analysis: 'entropy' }],
  ['attention-neuron', { analysis: 'neuron', layer: '2', head: 5 }],
  ['attention-clusters', { analysis: 'clusters' }],
  ['attention-alti', { analysis: 'alti' }],
] as const) {
  const result = await analyseAttention(model.host, { inputs: encoded.tensors, text, ...request });
  const small = await sharp(await renderAttention(result, { format: 'png' }))
    .resize({ width: 900, withoutEnlargement: true })
    .png({ palette: true, quality: 90 })
    .toBuffer();
  writeFileSync(path.join(root, 'docs/images', `${file}.png`), small);
}
await model.release();
