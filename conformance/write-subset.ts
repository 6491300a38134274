/**
 * Writes the subset that `npm test` runs: of each operator the smallest case whose second gradient was verified.
 *
 *   npx tsx conformance/write-subset.ts     after a whole `npm run conformance`
 */
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openCorpus } from './corpus.ts';

const root = path.join(import.meta.dirname, '..');
const corpus = openCorpus();
interface Row {
  readonly name: string;
  readonly operator?: string;
  readonly first: string;
  readonly second: string;
}
const { cases } = JSON.parse(readFileSync(path.join(root, 'docs', 'conformance.json'), 'utf8')) as { cases: Row[] };

const filesOf = (name: string) =>
  readdirSync(path.join(corpus.cases, name), { recursive: true, encoding: 'utf8' })
    .filter((file) => file === 'model.onnx' || /^test_data_set_0[\\/].*\.pb$/.test(file))
    .sort();
const sizeOf = (name: string) =>
  filesOf(name).reduce((sum, file) => sum + statSync(path.join(corpus.cases, name, file)).size, 0);

const smallest = new Map<string, { name: string; size: number }>();
for (const { name, operator, first, second } of cases) {
  if (operator === undefined || first !== 'verified' || second !== 'verified' || name.startsWith('own_')) continue;
  const size = sizeOf(name);
  if (size < (smallest.get(operator)?.size ?? 8192)) smallest.set(operator, { name, size });
}

const chosen = [...smallest.values()].map(({ name }) => name).sort();
const document = {
  onnx: corpus.onnx,
  operators: Object.fromEntries([...smallest.keys()].sort().map((operator) => [operator, corpus.operators[operator]])),
  cases: chosen.map((name) => ({
    name,
    files: Object.fromEntries(
      filesOf(name).map((file) => [path.basename(file), readFileSync(path.join(corpus.cases, name, file), 'base64')]),
    ),
  })),
};
const target = path.join(root, 'test', 'conformance', 'fixtures', 'onnx-node-tests.json');
writeFileSync(target, `${JSON.stringify(document)}\n`);
process.stdout.write(`${chosen.length} cases\n`);
