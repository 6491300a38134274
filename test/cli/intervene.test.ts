/** `onnxray patch` and `onnxray ablate` as a person runs them. */
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Intervention } from '../../src/attention/index.ts';
import { IMAGE_MODEL, TEXT_MODEL, photograph, testFolder } from '../folder.ts';
import { perceptron } from '../handmade.ts';
import { expectRefusal, onnxray, onnxrayJson } from './onnxray.ts';

const folder = testFolder('intervene');
const MAIL = 'Claim your free prize now';
const OTHER = 'Open your free prize now';
const ablate = (...args: string[]) => ['ablate', TEXT_MODEL, '--text', MAIL, ...args];
const patch = (...args: string[]) => ['patch', TEXT_MODEL, '--text', MAIL, '--corrupted', OTHER, ...args];

/** What is documented of every result. */
function expectShape(measured: Intervention, command: string, analysis: string): void {
  expect(measured).toMatchObject({
    command,
    analysis,
    options: expect.any(Object),
    model: { path: expect.any(String), sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    output: 'logits',
    target: { label: expect.any(String), indices: expect.any(Array) },
    value: expect.any(Number),
    tables: expect.any(Array),
    figures: expect.any(Object),
    warnings: expect.any(Array),
    runtime: { provider: 'cpu', passes: expect.any(Number), ms: expect.any(Number) },
  });
  for (const { rows, columns, measures, texts } of measured.tables) {
    const size = rows.labels.length * columns.labels.length;
    if (texts !== undefined) expect(texts).toHaveLength(size);
    for (const { dims, data } of Object.values(measures)) {
      expect(dims).toEqual([rows.labels.length, columns.labels.length]);
      expect(data).toHaveLength(size);
      for (const value of data as ArrayLike<number | null> & Iterable<number | null>)
        expect(value === null || Number.isFinite(value)).toBe(true);
    }
  }
}

describe('ablate --json', () => {
  it.each([
    ['heads', [], 4, 12],
    ['layers', [], 4, 3],
    ['edges', ['--query', '0', '--layer', '3'], 1, 7],
    ['uniform', [], 5, 2],
    ['prune', ['--option', 'points=3', '--option', 'draws=1'], 3, 4],
    ['lens', [], 5, 1],
    ['direct', [], 5, 3],
    ['correlation', [], 5, 4],
    ['adversarial', ['--option', 'steps=3'], 13, 7],
    ['erasure', [], 3, 6],
  ] as const)('%s gives its table', async (analysis, args, rows, columns) => {
    const measured = await onnxrayJson<Intervention>(ablate('--analysis', analysis, ...args));
    expectShape(measured, 'ablate', analysis);
    const [table] = measured.tables;
    expect([table!.rows.labels.length, table!.columns.labels.length]).toEqual([rows, columns]);
    expect(measured.tokens).toEqual(['[CLS]', 'claim', 'your', 'free', 'prize', 'now', '[SEP]']);
  });

  it('takes attention from another text', async () => {
    const measured = await onnxrayJson<Intervention>(ablate('--option', 'by=other', '--other', OTHER, '--layer', '2'));
    expectShape(measured, 'ablate', 'heads');
    expect(measured.options).toMatchObject({ by: 'other', layer: 2, head: null });
  });
});

describe('patch', () => {
  it('restores the clean answer when the changed word is put back before the first layer', async () => {
    const measured = await onnxrayJson<Intervention>(patch('--target', 'spam'));
    expectShape(measured, 'patch', 'stream');
    const { normalised } = measured.tables[0]!.measures;
    expect(normalised!.dims).toEqual([4, 7]);
    expect(normalised!.data[1]).toBeCloseTo(1, 5);
    expect(normalised!.data[2]).toBeCloseTo(0, 5);
    expect(measured.corruptedTokens![1]).toBe('open');
  });

  it('prints a table, and writes pictures and pages that a browser and a reader of Chinese can use', async () => {
    const shown = await onnxray(patch('--what', 'heads'));
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toMatch(/^Heads patched from the clean input\n/);
    for (const name of ['map.svg', 'map.png', 'map.html', 'map.json']) {
      const file = folder.at(name);
      expect(await onnxray(patch('--out', file, '--language', 'zh'))).toMatchObject({
        code: 0,
        stdout: `wrote ${file}\n`,
        stderr: '',
      });
    }
    expect((await sharp(folder.at('map.png')).metadata()).width).toBeGreaterThan(500);
    expect(readFileSync(folder.at('map.svg'), 'utf8')).toContain('用干净输入的残差流替换');
    expect(readFileSync(folder.at('map.html'), 'utf8')).toMatch(/^<!doctype html>\n<html lang="zh-CN">/);
    expectShape(JSON.parse(readFileSync(folder.at('map.json'), 'utf8')) as Intervention, 'patch', 'stream');
  });
});

describe('refusals', () => {
  const model = folder.write('perceptron.onnx', perceptron());
  const inputs = folder.write('inputs.json', { x: { dims: [1, 4], type: 'float32', data: [1, 2, -3, 0.5] } });
  it.each([
    ['an unknown analysis', ablate('--analysis', 'head'), 2, /unknown analysis "head"; nearest: heads/],
    [
      'a place the analysis has not',
      ablate('--analysis', 'lens', '--head', '1'),
      2,
      /lens takes no --head; it takes --position/,
    ],
    ['an unknown option', ablate('--option', 'steps=3'), 2, /heads has no option "steps"; it has by/],
    ['a value out of an option', ablate('--option', 'by=nothing'), 2, /one of zero, mean, uniform, other/],
    ['another input that is missing', ablate('--option', 'by=other'), 2, /--other/],
    ['a layer out of range', ablate('--layer', '9'), 1, /there is no layer 9: attention is in layers 0 to 3/],
    ['a head out of range', ablate('--head', '12'), 1, /there is no head 12: heads are 0 to 11/],
    [
      'a token out of range',
      ablate('--analysis', 'edges', '--query', '7'),
      1,
      /there is no query 7: positions are 0 to 6/,
    ],
    ['an unknown target', ablate('--target', 'eggs'), 1, /unknown target "eggs"/],
    ['an output that is not there', ablate('--output', 'eggs'), 1, /no output "eggs"/],
    [
      'inputs of different length',
      ['patch', TEXT_MODEL, '--text', MAIL, '--corrupted', 'no'],
      1,
      /differ in length.*7 tokens.*3 tokens/,
    ],
    ['no corrupted input', ['patch', TEXT_MODEL, '--text', MAIL], 2, /--corrupted/],
    ['a model without attention', ['ablate', model, '--inputs', inputs], 1, /has no attention/],
    ['a convolutional model', ['ablate', IMAGE_MODEL, '--image', photograph('cat.jpg')], 1, /has no attention/],
    ['a picture of another name', patch('--out', 'map.gif'), 2, /name it \.html, \.svg, \.png or \.json/],
  ] as const)('%s', async (_, args, code, message) => {
    expectRefusal(await onnxray([...args]), code, message);
  });
});
