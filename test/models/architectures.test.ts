/**
 * Exports of reference/architectures, a few of each kind: they open, and their gradients and attention are PyTorch's.
 * docs/architectures.md has them all.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  answersFor,
  boundsFor,
  compareAttention,
  compareGradients,
  exportsIn,
  judged,
  openExport,
  readReference,
} from './exports.ts';

const FOLDER = path.join(import.meta.dirname, 'fixtures/architectures');
const EXPORTS = readdirSync(FOLDER).flatMap((architecture) =>
  exportsIn(path.join(FOLDER, architecture)).map((name) => [architecture, name] as const),
);

test.each(EXPORTS)(
  '%s, %s: the output, its gradient and every head’s attention are PyTorch’s',
  async (...[place, name]) => {
    const folder = path.join(FOLDER, place);
    const reference = readReference(folder);
    const answers = answersFor(name, reference);
    const host = await openExport(folder, name);
    try {
      const compared = await compareGradients(host, reference, answers);
      const bounds = boundsFor(name, compared);
      expect(compared.missing).toEqual([]);
      expect(compared.file ?? compared.output).toBeLessThanOrEqual(bounds.file);
      const { gradient, cosine } = judged(name, compared);
      expect(gradient).toBeLessThanOrEqual(bounds.gradient);
      expect(cosine).toBeGreaterThanOrEqual(bounds.cosine);
      if (name.endsWith('-int8')) expect(compared.twin?.gradient).toBeLessThanOrEqual(bounds.gradient);
      const attended = await compareAttention(host, reference, answers);
      expect(attended).toMatchObject({ found: reference.blocks.length, differences: [] });
      expect(attended.error).toBeLessThanOrEqual(bounds.attention);
    } finally {
      await host.release();
    }
  },
);
