/** Attention as a page is given it: the same whether everything comes from one run or block by block. */
import { afterAll, describe, expect, test } from 'vitest';
import { CapturedAttention, captureAttention } from '../../src/attention/index.ts';
import { openFixture, inputsOf, reference } from './references.ts';

const NAME = 'distilbert-eager';
const host = await openFixture(NAME);
afterAll(() => host.release());
const signal = new AbortController().signal;

describe('captured attention', () => {
  test('is the same from one run as from a run per block, and its blocks are the probabilities', async () => {
    const tensors = inputsOf(reference(NAME), host);
    const [whole, parts] = [new CapturedAttention(host, tensors), new CapturedAttention(host, tensors, undefined, 1)];
    const [expected, found] = [await whole.overview(signal, () => {}), await parts.overview(signal, () => {})];
    expect({ ...found, pixels: undefined }).toEqual({ ...expected, pixels: undefined });
    expect(found.pixels.length).toBe(expected.pixels.length);
    found.pixels.forEach((byte, i) => expect(Math.abs(byte - expected.pixels[i]!)).toBeLessThanOrEqual(1));
    const captured = await captureAttention(host, tensors);
    for (const { block, values } of captured) {
      const packed = await parts.block(block.index, signal);
      expect(packed).toEqual(await whole.block(block.index, signal));
      const { data } = values['probabilities']!;
      packed.data.forEach((value, i) => expect(Math.abs(value / 65535 - data[i]!)).toBeLessThan(1e-5));
    }
    await expect(parts.block(captured.length, signal)).rejects.toThrow('no block');
  });
});
