/** Pictures of attention: words for everything, nothing of a token's text in the markup, cells in their places. */
import { describe, expect, test } from 'vitest';
import { ANALYSES } from '../../src/attention/index.ts';
import type { AttentionResult } from '../../src/attention/index.ts';
import { rasterise, scaleOf } from '../../src/views/attention/matrix.ts';
import { patchGrid, patchOverlay } from '../../src/views/attention/strips.ts';
import { ATTENTION_WORDS } from '../../src/views/attention/words.ts';
import { attentionAnsi, renderAttention } from '../../src/views/index.ts';
import { warningText } from '../../src/views/warnings.ts';

const HOSTILE = [
  '</script><script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  '\u001b[31mred',
  '\u202egnp.exe',
];
const CONTROLS = ['\u001b', '\u202e'];
const result: AttentionResult = {
  analysis: 'probabilities',
  options: {},
  model: { path: 'model.onnx', sha256: '0'.repeat(64) },
  blocks: [
    {
      index: 0,
      layer: 0,
      kind: 'encoder',
      path: 'encoder.layer.0',
      heads: 2,
      queries: 4,
      keys: 4,
      probabilities: {
        axes: ['batch', 'head', 'query', 'key'],
        dims: [1, 2, 4, 4],
        data: Float32Array.from({ length: 32 }, (_, at) => (at % 5) / 10),
      },
    },
  ],
  tokens: HOSTILE,
  warnings: ['<b>careful</b>'],
  runtime: { provider: 'cpu', threads: 1, ms: 1, versions: {} },
};

test('every analysis has its unit in both languages', () => {
  for (const { name } of ANALYSES)
    for (const language of ['en', 'zh'] as const)
      if (name !== 'dependencies')
        expect(ATTENTION_WORDS[language].measures[name], `${name} in ${language}`).toBeTruthy();
});

describe('tokens that try to be more than text', () => {
  test.each(['svg', 'html'] as const)('stay text in %s', async (format) => {
    for (const blocks of [result.blocks, result.blocks.map((block) => ({ ...block, only: [0] }))]) {
      const drawn = String(await renderAttention({ ...result, blocks }, { format }));
      expect(drawn).not.toMatch(/<script>alert|<img src=x|<b>careful/);
      for (const control of CONTROLS) expect(drawn).not.toContain(control);
      if (format === 'html') expect(drawn.match(/<\/script>/g)!.length).toBe(2);
    }
  });

  test('do nothing to a terminal', () => {
    const shown = attentionAnsi(result, { color: 'none', width: 80, language: 'en' });
    for (const control of CONTROLS) expect(shown).not.toContain(control);
  });
});

test('a matrix is drawn cell by cell, rows down and columns across', () => {
  const matrix = { rows: 2, columns: 3, data: [0, 0, 1, 0, 0.5, 0] };
  const { width, height, data } = rasterise(matrix, scaleOf([matrix]), 2);
  expect([width, height]).toEqual([6, 4]);
  const brightness = (x: number, y: number) => data[4 * (y * width + x)]! + data[4 * (y * width + x) + 1]!;
  expect(brightness(0, 0)).toBe(510);
  expect(brightness(4, 1)).toBeLessThan(brightness(2, 2));
  expect(brightness(5, 0)).toBe(brightness(4, 1));
  expect(brightness(2, 0)).toBe(510);
});

test('patches of a picture are found, and drawn where they are', () => {
  expect(patchGrid(197)).toEqual({ side: 14, before: 1 });
  expect(patchGrid(198)).toEqual({ side: 14, before: 2 });
  expect(patchGrid(50)).toEqual({ side: 7, before: 1 });
  expect(patchGrid(12)).toEqual({ side: 3, before: 3 });
  expect(patchGrid(3)).toBeUndefined();
  const pixels = { width: 8, height: 8, data: new Uint8Array(192).fill(128) };
  const whole = { x: 0, y: 0, width: 1, height: 1 };
  const numbers = [9, 0, 0, 0, 1];
  const scale = scaleOf([{ rows: 1, columns: 4, data: numbers.slice(1) }]);
  const { data } = patchOverlay({ pixels, crop: whole }, numbers, { side: 2, before: 1 }, scale);
  const green = (x: number, y: number) => data[4 * (y * 8 + x) + 1]!;
  expect(green(7, 7)).toBeLessThan(green(0, 0));
  expect(green(0, 7)).toBe(green(0, 0));
  expect(green(7, 0)).toBe(green(0, 0));
});

/** As src/attention writes them. */
const WARNINGS = [
  'distance is not for cross-attention, whose keys are of another sequence: those blocks have none',
  'The best head of a relation is chosen on the words it is scored on, and so is the fixed offset.',
  '3 queries are masked from every key: they attend to nothing, and have no entropy',
  '2 fused kernels of this model (Attention) cannot be opened: their attention is not shown.',
  'both inputs get the same answer: there is nothing to restore, so nothing is normalised',
  'only 4 positions can be taken out: most shares are one position',
  'the answer is read from several positions: attention is averaged over all queries',
  "no start kept the answer within 0.01: the model's own attention is shown",
];

test('every warning about attention is said in Chinese too, and stays English in the data', () => {
  for (const warning of WARNINGS) {
    const said = warningText(warning, 'zh');
    expect(said.language, warning).toBe('zh');
    expect(said.text).toMatch(/[\u4e00-\u9fff]/);
    expect(warningText(warning, 'en').text).toBe(warning);
  }
  const cautious = { ...result, warnings: [WARNINGS[0]!] };
  expect(attentionAnsi(cautious, { color: 'none', width: 80, language: 'zh' })).toContain('不适用于交叉注意力');
});
