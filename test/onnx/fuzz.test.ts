/** The first cases of `npm run fuzz`: broken files of every kind give one line for a person, or are taken as models. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { tryFile } from '../../conformance/fuzz/check.ts';
import { FUZZ_FILES } from '../../conformance/fuzz/files.ts';
import { MUTATIONS, fuzzCase } from '../../conformance/fuzz/mutate.ts';
import { UserError, readModel } from '../../src/onnx/index.ts';
import { repository } from '../folder.ts';

const files = FUZZ_FILES.map((file) => [file, new Uint8Array(readFileSync(path.join(repository, file)))] as const);
const folder = path.join(repository, 'test/onnx/fixtures');

test('2,000 broken files are refused in one line or taken, and nothing else', () => {
  const seen = new Map<string, number>();
  for (let index = 0; index < 2000; index++) {
    const { mutation, seedFile, bytes } = fuzzCase(files, 1, index);
    const outcome = tryFile(bytes, folder);
    if (outcome.kind === 'crash') expect.fail(`case ${index} (${mutation} of ${seedFile}): ${outcome.message}`);
    seen.set(mutation, (seen.get(mutation) ?? 0) + (outcome.kind === 'refused' ? 1 : 0));
  }
  expect([...seen.keys()].sort()).toEqual(Object.keys(MUTATIONS).sort());
  expect(seen.get('external paths')).toBeGreaterThan(50);
});

test('a case is the same each time it is asked for', () => {
  for (const index of [3, 77, 1234]) expect(fuzzCase(files, 5, index)).toEqual(fuzzCase(files, 5, index));
  expect(fuzzCase(files, 5, 3)).not.toEqual(fuzzCase(files, 6, 3));
});

test('a sparse weight that claims many more zeros than a file of its size would have is refused', () => {
  const sparse = files.find(([name]) => name.endsWith('sparse.onnx'))![1];
  expect(() => readModel(sparse)).not.toThrow();
  let refused = 0;
  for (let index = 0; index < 200; index++) {
    const bytes = MUTATIONS['dims']!(sparse, (below) => (index * 7919 + below * 31) % below, sparse);
    try {
      readModel(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(0);
});

test('a few bytes that stand for more than a mebibyte of zeros are refused: the process would grow by several times that', () => {
  const found = fuzzCase(files, 1, 76052);
  expect(found).toMatchObject({ mutation: 'dims', seedFile: 'test/onnx/fixtures/sparse.onnx' });
  expect(() => readModel(found.bytes)).toThrow(/the sparse weight "flat" would take 1835036 bytes/);
});
