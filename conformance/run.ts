/**
 * npm run conformance: ONNX's own backend node tests through the product.
 *
 *   npm run conformance                 all cases; rewrites the table in docs/conformance.md and its JSON
 *   npm run conformance -- PATTERN      the cases whose names match; prints what was found of each, writes nothing
 */
import { availableParallelism } from 'node:os';
import { caseNames, openCorpus } from './corpus.ts';
import { ownCaseNames } from './own-cases.ts';
import { runCases } from './pool.ts';
import type { CaseResult } from './result.ts';
import { writeReport } from './report.ts';

const pattern = process.argv[2];
const corpus = openCorpus();
const names = [...caseNames(corpus), ...ownCaseNames()].filter(
  (name) => pattern === undefined || new RegExp(pattern).test(name),
);
let done = 0;
const results = await runCases(names, Math.min(2, availableParallelism()), (result) => {
  done++;
  if (pattern !== undefined) print(result);
  else if (process.stderr.isTTY) process.stderr.write(`\r${done}/${names.length}`);
});
if (pattern === undefined) {
  const { text, unexpected } = writeReport(corpus, results);
  process.stdout.write(`\n${text}\n`);
  for (const line of unexpected) process.stdout.write(`unexpected: ${line}\n`);
  process.exitCode = unexpected.length === 0 ? 0 : 1;
}

function print(result: CaseResult): void {
  const parts = (['roundTrip', 'normalized', 'first', 'second'] as const).map((key) => {
    const { status, note } = result[key];
    return `${key} ${status}${note === undefined ? '' : ` (${note})`}`;
  });
  if (['roundTrip', 'normalized', 'first', 'second'].every((key) => result[key as 'first'].status === 'verified')) {
    process.stdout.write(`${result.name}: verified\n`);
    return;
  }
  process.stdout.write(`${result.name} [${result.precision ?? '-'}]: ${parts.join('; ')}\n`);
}
