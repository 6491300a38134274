/**
 * How far every attribution method is from its reference on the small models of test/attribution/fixtures, as a table in
 * docs/methods.md, and without the columns of float64 in both READMEs.
 *
 *     npx tsx scripts/attribution-table.ts
 */
import path from 'node:path';
import { attributeCase, fixtures, hasMethod, openFixture, relativeError } from '../test/attribution/references.ts';
import type { Case } from '../test/attribution/references.ts';
import { table, writeBlock } from './blocks.ts';

const MODELS = ['mlp', 'cnn', 'resnet', 'bert', 'gpt', 'vit'];
/** The same models in float64. */
const DOUBLES = MODELS.map((name) => `${name}-float64`);
const places = (each: Case) =>
  each.layer === undefined
    ? ''
    : each.neuron === undefined || each.method === 'neuron-conductance'
      ? ' at a layer'
      : ' of a neuron';

const errors = new Map<string, Map<string, number>>();
const sources = new Map<string, Set<string>>();
const differences = new Set<string>();
for (const fixture of fixtures()) {
  const host = await openFixture(fixture);
  for (const each of fixture.cases.filter(({ method }) => hasMethod(method))) {
    const explanation = await attributeCase(host, fixture, each);
    const name = `${each.method}${places(each)}`;
    const row = errors.get(name) ?? new Map<string, number>();
    errors.set(name, row);
    sources.set(name, (sources.get(name) ?? new Set()).add(each.reference));
    if (each.differs !== undefined) {
      row.set(fixture.name, Number.NaN);
      differences.add(`\`${name}\` on the ${fixture.name}: ${each.differs}; ours sum to it within 1e-5.`);
      continue;
    }
    row.set(fixture.name, Math.max(row.get(fixture.name) ?? 0, relativeError(explanation, each)));
  }
  await host.release();
}

const cell = (value: number | undefined) =>
  value === undefined ? '' : Number.isNaN(value) ? 'differs' : value.toExponential(0);
const tableOf = (models: readonly string[]) =>
  table(
    ['method', ...models.map((name) => name.replace('-', ', ')), 'reference'],
    Array.from(errors, ([name, row]) => [
      `\`${name}\``,
      ...models.map((model) => cell(row.get(model))),
      [...sources.get(name)!].join(', '),
    ]),
  );
const content = [tableOf([...MODELS, ...DOUBLES]), '', ...Array.from(differences, (line) => `- ${line}`)].join('\n');
console.log(content);
writeBlock(path.resolve(import.meta.dirname, '../docs/methods.md'), 'references', content);
for (const file of ['../README.md', '../README.zh-CN.md'])
  writeBlock(path.resolve(import.meta.dirname, file), 'references', tableOf(MODELS));
