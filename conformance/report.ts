/** The table of operators: what ONNX marks, what we have, what was verified. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { GRADIENT_RULES, PIECEWISE_CONSTANT } from '../src/autodiff/index.ts';
import { COMPOSITE_OPERATORS } from '../src/onnx/index.ts';
import { VERSIONS } from '../src/runtime/index.ts';
import type { Corpus } from './corpus.ts';
import { CASE_EXCEPTIONS, OPERATOR_EXCEPTIONS } from './exceptions.ts';
import type { CaseResult } from './result.ts';

type Coverage = 'rule' | 'primitives' | 'zero' | 'none';
type Verdict = 'verified' | 'failed' | 'none';

export interface OperatorRow {
  readonly operator: string;
  readonly since: number;
  /** Whether its schema marks an input as differentiable. */
  readonly marked: boolean;
  readonly coverage: Coverage;
  readonly cases: number;
  readonly values: Verdict;
  readonly first: Verdict;
  readonly second: Verdict;
  readonly precision: string;
  readonly exception: string | undefined;
}

const DOCUMENT = path.join(import.meta.dirname, '..', 'docs', 'conformance.md');
const DATA = path.join(import.meta.dirname, '..', 'docs', 'conformance.json');
const [BEGIN, END] = ['<!-- conformance:begin -->', '<!-- conformance:end -->'];

/** Writes the table into docs/ and gives the totals as text, and the cases that fail without standing in exceptions.ts. */
export function writeReport(corpus: Corpus, results: readonly CaseResult[]): { text: string; unexpected: string[] } {
  const rows = operatorRows(corpus, results);
  const totals = totalsOf(rows, results);
  const lines = totalLines(totals, corpus);
  const block = [BEGIN, '', ...lines, '', ...table(rows), '', ...microsoftLines(), ...exceptionLines(), END].join('\n');
  const before = readFileSync(DOCUMENT, 'utf8');
  const [start, end] = [before.indexOf(BEGIN), before.indexOf(END) + END.length];
  writeFileSync(DOCUMENT, before.slice(0, start) + block + before.slice(end));
  const cases = results.map(({ name, operator, opset, roundTrip, normalized, first, second, precision }) => ({
    name,
    operator,
    opset,
    roundTrip: roundTrip.status,
    normalized: normalized.status,
    first: first.status,
    second: second.status,
    precision,
  }));
  writeFileSync(DATA, `${JSON.stringify({ onnx: corpus.onnx, ...VERSIONS, totals, operators: rows, cases })}\n`);
  return { text: lines.join('\n'), unexpected: unexpectedFailures(results) };
}

const KEYS = ['roundTrip', 'normalized', 'first', 'second'] as const;

function unexpectedFailures(results: readonly CaseResult[]): string[] {
  return results.flatMap((result) => {
    if (result.name in CASE_EXCEPTIONS) return [];
    // Such an operator's values still have to be right.
    const keys = (result.operator ?? '') in OPERATOR_EXCEPTIONS ? KEYS.slice(0, 2) : KEYS;
    return keys
      .filter((key) => result[key].status === 'failed')
      .map((key) => `${result.name}: ${key}: ${result[key].note ?? ''}`);
  });
}

/** Resolved to tensors by `normalizeModel` where the make-up of the sequence is known. */
const SEQUENCES = /^(Sequence(At|Construct|Empty|Erase|Insert|Length)|SplitToSequence|ConcatFromSequence)$/;

function coverageOf(operator: string): Coverage {
  const rule = GRADIENT_RULES[operator];
  if (rule === PIECEWISE_CONSTANT) return 'zero';
  if (rule !== undefined) return 'rule';
  return COMPOSITE_OPERATORS.includes(operator) || SEQUENCES.test(operator) ? 'primitives' : 'none';
}

function operatorRows({ operators }: Corpus, results: readonly CaseResult[]): OperatorRow[] {
  return Object.entries(operators)
    .filter(([, { floats }]) => floats)
    .map(([operator, { since, inputs }]): OperatorRow => {
      const own = results.filter((result) => result.operator === operator && !(result.name in CASE_EXCEPTIONS));
      const verdict = (key: (typeof KEYS)[number]): Verdict => {
        if (own.some((result) => result[key].status === 'failed')) return 'failed';
        return own.some((result) => result[key].status === 'verified') ? 'verified' : 'none';
      };
      const exception = OPERATOR_EXCEPTIONS[operator];
      return {
        operator,
        since,
        marked: inputs.includes('yes'),
        coverage: coverageOf(operator),
        cases: own.length,
        values: verdict('normalized'),
        first: verdict('first'),
        second: verdict('second'),
        precision: [...new Set(own.flatMap(({ precision }) => precision ?? []))].sort().join(', '),
        exception,
      };
    })
    .sort((a, b) => (a.operator < b.operator ? -1 : 1));
}

function totalsOf(rows: readonly OperatorRow[], results: readonly CaseResult[]) {
  const marked = rows.filter((row) => row.marked);
  const count = (key: (typeof KEYS)[number], status: string) =>
    results.filter((result) => result[key].status === status).length;
  const cases = Object.fromEntries(
    KEYS.map((key) => [
      key,
      { verified: count(key, 'verified'), failed: count(key, 'failed'), skipped: count(key, 'skipped') },
    ]),
  );
  return {
    marked: marked.length,
    markedCovered: marked.filter(({ coverage }) => coverage !== 'none').length,
    markedFirst: marked.filter(({ first }) => first === 'verified').length,
    markedExceptions: marked.filter(({ first, second }) => first !== 'verified' || second !== 'verified').length,
    markedSecond: marked.filter(({ second }) => second === 'verified').length,
    covered: rows.filter(({ coverage }) => coverage !== 'none').length,
    first: rows.filter(({ first }) => first === 'verified').length,
    second: rows.filter(({ second }) => second === 'verified').length,
    operators: rows.length,
    cases,
  };
}

function totalLines(totals: ReturnType<typeof totalsOf>, corpus: Corpus): string[] {
  const of = (key: (typeof KEYS)[number]) => {
    const { verified, failed, skipped } = totals.cases[key]!;
    return `${verified} verified, ${failed} failed, ${skipped} not applicable`;
  };
  return [
    `ONNX ${corpus.onnx} (opset ${corpus.opset}), onnxruntime ${VERSIONS.onnxruntime}.`,
    '',
    `- Operators whose schema marks an input differentiable: ${totals.marked}; with a rule or in primitives: ${totals.markedCovered}; verified first order: ${totals.markedFirst}; second order: ${totals.markedSecond}; named exceptions among them: ${totals.markedExceptions}.`,
    `- All operators that take floats: ${totals.operators}; with a rule, in primitives or of zero gradient: ${totals.covered}; verified first order: ${totals.first}; second order: ${totals.second}.`,
    `- Cases read, written and run again: ${of('roundTrip')}.`,
    `- Cases in canonical form: ${of('normalized')}.`,
    `- Gradients of cases: ${of('first')}. Of their gradients: ${of('second')}.`,
  ];
}

function table(rows: readonly OperatorRow[]): string[] {
  const names: Readonly<Record<Coverage, string>> = {
    rule: 'rule',
    primitives: 'in primitives',
    zero: 'zero',
    none: 'none',
  };
  const mark = (verdict: Verdict) => (verdict === 'verified' ? 'yes' : verdict === 'failed' ? 'no' : '');
  return [
    '| operator | since | marked | gradient | cases | values | 1st | 2nd | precision | exception |',
    '| --- | --: | --- | --- | --: | --- | --- | --- | --- | --- |',
    ...rows.map(
      (row) =>
        `| ${row.operator} | ${row.since} | ${row.marked ? 'yes' : ''} | ${names[row.coverage]} | ${row.cases} | ${mark(row.values)} | ${mark(row.first)} | ${mark(row.second)} | ${row.precision} | ${row.exception ?? ''} |`,
    ),
  ];
}

/** Those of onnxruntime's own domain, which ONNX's tests know nothing of: test/conformance/microsoft.test.ts and microsoft-gradients.test.ts have their cases. */
function microsoftLines(): string[] {
  const own = (names: readonly string[]) =>
    names
      .filter((name) => name.startsWith('com.microsoft::'))
      .map((name) => `\`${name.slice('com.microsoft::'.length)}\``)
      .sort()
      .join(', ');
  const rules = Object.keys(GRADIENT_RULES);
  return [
    `Operators of com.microsoft in primitives: ${own(COMPOSITE_OPERATORS)}; with an entry in the table of rules: ${own(rules)}. Their cases are compared with onnxruntime's kernels in \`test/conformance\`.`,
    '',
  ];
}

const exceptionLines = (): string[] => [
  'Single cases left out, with their reasons:',
  '',
  ...Object.entries(CASE_EXCEPTIONS).map(([name, reason]) => `- \`${name}\`: ${reason}.`),
  '',
];
