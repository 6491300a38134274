/**
 * Exports of reference/architectures, a few of each kind: they open, and their gradients and attention are PyTorch's.
 * docs/architectures.md has them all.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { locateAttention } from '../../src/attention/index.ts';
import type { ModelHost } from '../../src/runtime/index.ts';
import {
  answersFor,
  boundsFor,
  compareAttention,
  compareGradients,
  exportsIn,
  openExport,
  readReference,
} from './exports.ts';
import type { Compared } from './exports.ts';

const FOLDER = path.join(import.meta.dirname, 'fixtures/architectures');
const EXPORTS = readdirSync(FOLDER).flatMap((architecture) =>
  exportsIn(path.join(FOLDER, architecture)).map((name) => [architecture, name] as const),
);

describe.each(EXPORTS)('%s, %s', (architecture, name) => {
  const folder = path.join(FOLDER, architecture);
  const reference = readReference(folder);
  const answers = answersFor(name, reference);
  let host: ModelHost;
  let compared: Compared;
  beforeAll(async () => {
    host = await openExport(folder, name);
    compared = await compareGradients(host, reference, answers);
  });
  afterAll(() => host.release());

  test('is the model that PyTorch has', () => {
    expect(compared.file ?? compared.output).toBeLessThanOrEqual(boundsFor(name, compared).file);
  });

  test('has the gradient that PyTorch has', () => {
    const { gradient, cosine } = boundsFor(name, compared);
    expect(compared.missing).toEqual([]);
    expect(compared.gradient).toBeLessThanOrEqual(gradient);
    expect(compared.cosine).toBeGreaterThanOrEqual(cosine);
  });

  test.runIf(reference.blocks.length > 0)('attends as PyTorch does, every head found', async () => {
    const attended = await compareAttention(host, reference, answers);
    expect(attended.differences).toEqual([]);
    expect(attended.found).toBe(reference.blocks.length);
    expect(attended.error).toBeLessThanOrEqual(boundsFor(name, compared).attention);
  });

  test.runIf(reference.blocks.length === 0)('has no attention', () => {
    expect(locateAttention(host.model)).toEqual([]);
  });
});
