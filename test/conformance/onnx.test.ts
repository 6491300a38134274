/** A committed subset of ONNX's own node tests, one of each operator; `npm run conformance` runs them all. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { checkFiles } from '../../conformance/check-case.ts';
import type { CaseFiles, Corpus } from '../../conformance/corpus.ts';
import { ownCase, ownCaseNames } from '../../conformance/own-cases.ts';
import { readTensor } from '../../src/onnx/index.ts';

interface Subset {
  readonly operators: Corpus['operators'];
  readonly cases: readonly { readonly name: string; readonly files: Readonly<Record<string, string>> }[];
}

const file = path.join(import.meta.dirname, 'fixtures', 'onnx-node-tests.json');
const { operators, cases } = JSON.parse(readFileSync(file, 'utf8')) as Subset;

function caseOf({ name, files }: Subset['cases'][number]): CaseFiles {
  const bytes = (key: string) => new Uint8Array(Buffer.from(files[key]!, 'base64'));
  const tensors = (kind: string) => {
    const count = Object.keys(files).filter((key) => key.startsWith(kind)).length;
    return Array.from({ length: count }, (_, index) => readTensor(bytes(`${kind}_${index}.pb`)));
  };
  return { name, bytes: bytes('model.onnx'), inputs: tensors('input'), outputs: tensors('output') };
}

const all = [...cases.map(caseOf), ...ownCaseNames().map((name) => ownCase(name)!)];

test.each(all.map((each) => [each.name, each] as const))(
  '%s keeps its values and has its gradient, first and second order',
  async (_, each) => {
    const result = await checkFiles(each, operators);
    expect(result.roundTrip.status).not.toBe('failed');
    expect(result).toMatchObject({
      normalized: { status: 'verified' },
      first: { status: 'verified' },
      second: { status: 'verified' },
    });
  },
);
