/** What every command prints and writes, as docs and scripts count on it. */
import { copyFileSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseExplanation, sumOfScores } from '../../src/explanation/index.ts';
import type { Explanation } from '../../src/explanation/index.ts';
import { IMAGE_MODEL, TEXT_MODEL, photograph, repository, testFolder } from '../folder.ts';
import { externalWeight, integerAnswer, perceptron, zipMap } from '../handmade.ts';
import { runModel } from '../models.ts';
import { onnxray, onnxrayJson } from './onnxray.ts';

const folder = testFolder('contract');
const model = folder.write('perceptron.onnx', perceptron());
const row = { dims: [1, 4], type: 'float32', data: [1, 2, -3, 0.5] };
const inputs = folder.write('inputs.json', { x: row });
const MAIL = 'Claim your free prize now';

interface Printed extends Omit<Explanation, 'attributions'> {
  readonly attributions: Readonly<Record<string, { dims: number[]; type: string; data: number[] }>>;
}

/** `onnxray explain ... --json`, checked for what holds of every explanation. */
async function explain(...args: string[]): Promise<Printed> {
  const printed = await onnxrayJson<Printed>(['explain', ...args]);
  expect(printed).toMatchObject({
    method: expect.any(String),
    options: expect.any(Object),
    model: { path: expect.any(String), sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    output: expect.any(String),
    target: { label: expect.any(String), indices: expect.any(Array) },
    value: expect.any(Number),
    warnings: expect.any(Array),
    runtime: {
      provider: 'cpu',
      threads: expect.any(Number),
      ms: expect.any(Number),
      passes: expect.any(Number),
      versions: { onnxray: expect.any(String), onnxruntime: expect.any(String) },
    },
  });
  for (const key of ['baselineValue', 'convergenceDelta'] as const)
    expect(printed[key] === null || Number.isFinite(printed[key]), key).toBe(true);
  for (const { dims, data } of Object.values(printed.attributions)) {
    expect(data).toHaveLength(dims.reduce((product, dim) => product * dim, 1));
    expect(data.every(Number.isFinite)).toBe(true);
  }
  // What the library reads back is the same document.
  expect(parseExplanation(JSON.stringify(printed)).method).toBe(printed.method);
  return printed;
}

const text = (...more: string[]) => explain(TEXT_MODEL, '--text', MAIL, ...more);
const tensors = (...more: string[]) => explain(model, '--inputs', inputs, ...more);

describe('help', () => {
  it.each(['', 'inspect', 'explain', 'attention', 'gradient', 'patch', 'ablate', 'demo', 'studio', 'visualise'])(
    'of "%s" has examples',
    async (command) => {
      const { code, stdout, stderr } = await onnxray([...command.split(' ').filter(Boolean), '--help']);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(/^Usage: onnxray/);
      expect(stdout).toMatch(/Examples:\n {2}onnxray /);
      expect(stdout).not.toContain('default: {}');
    },
  );

  it('lists every method with its options', async () => {
    const { stdout } = await onnxray(['explain', '--help']);
    for (const name of ['integrated-gradients', 'input-x-gradient', 'saliency', '--option steps='])
      expect(stdout).toContain(name);
  });

  it('gives the version alone', async () => {
    const { version } = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as { version: string };
    expect(await onnxray(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('inspect --json', () => {
  it('describes the embedded text model', async () => {
    const printed = await onnxrayJson<Record<string, unknown>>(['inspect', TEXT_MODEL]);
    expect(printed).toMatchObject({
      opset: expect.any(Number),
      irVersion: expect.any(Number),
      producer: expect.any(String),
      inputs: expect.arrayContaining([{ name: 'input_ids', type: 'int64', dims: expect.any(Array) }]),
      outputs: [{ name: 'logits', type: 'float32', dims: expect.any(Array) }],
      parameters: expect.any(Number),
      bytes: readFileSync(path.join(TEXT_MODEL, 'onnx/model.onnx')).length,
      operators: expect.objectContaining({ MatMul: expect.any(Number) }),
      differentiable: { covered: expect.any(Number), missing: [] },
    });
    const { attention, layers } = printed as {
      attention: Record<string, unknown>[];
      layers: Record<string, unknown>[];
    };
    expect(attention).toHaveLength(4);
    expect(attention[0]).toMatchObject({
      index: 0,
      layer: expect.anything(),
      kind: 'encoder',
      heads: 12,
      kvHeads: 12,
      path: expect.any(String),
      probabilities: expect.any(String),
    });
    for (const layer of layers) expect(Object.keys(layer)).toEqual(['path', 'node', 'output', 'dims']);
    expect(new Set(layers.map(({ path }) => path)).size, 'paths are unique').toBe(layers.length);
  });

  it('gives dims of every input and output, null where nothing is known', async () => {
    const file = folder.write('zipmap.onnx', zipMap(true));
    const { inputs: takes, outputs } = await onnxrayJson<{ inputs: object[]; outputs: { dims: unknown }[] }>([
      'inspect',
      file,
    ]);
    expect(takes).toEqual([{ name: 'x', type: 'float32', dims: ['batch', 4] }]);
    expect(outputs.map(({ dims }) => dims)).toEqual([['batch'], null, ['batch', 3]]);
  });

  it('names what cannot be differentiated', async () => {
    const { differentiable } = await onnxrayJson<{ differentiable: { missing: object[] } }>([
      'inspect',
      folder.at('zipmap.onnx'),
    ]);
    expect(differentiable.missing).toEqual([
      { operator: 'ai.onnx.ml::ZipMap', node: 'ZipMap_probabilities', opset: 3 },
    ]);
  });

  it('prints a page without it', async () => {
    const { code, stdout, stderr } = await onnxray(['inspect', folder.write('integers.onnx', integerAnswer())]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/inputs\n {4}x: float32 \[batch, 4\]/);
  });
});

describe('explain --json', () => {
  it('explains a text token by token', async () => {
    const printed = await text();
    expect(printed.method).toBe('integrated-gradients');
    expect(printed.options).toMatchObject({ baseline: 'pad', tolerance: 0.01, steps: expect.any(Number) });
    expect(printed.target).toEqual({ label: 'spam', indices: [1] });
    expect(printed.tokens).toEqual(['[CLS]', 'claim', 'your', 'free', 'prize', 'now', '[SEP]']);
    expect(printed.attributions['input_ids']!.dims).toEqual([1, 7]);
    expect(printed.text).toMatchObject({ input: 'input_ids', texts: [MAIL], truncated: 0 });
    for (const list of ['offsets', 'segments', 'words'] as const) expect(printed.text![list]).toHaveLength(7);
    expect(printed.predictions!.map(({ label }) => label)).toEqual(['spam', 'ham']);
    const gap = sumOfScores(parseExplanation(JSON.stringify(printed)).attributions);
    expect(gap - (printed.value - printed.baselineValue!)).toBeCloseTo(printed.convergenceDelta!, 4);
  });

  it('explains a picture pixel by pixel', async () => {
    const printed = await explain(IMAGE_MODEL, '--image', photograph('cat.jpg'), '--method', 'saliency');
    const [attribution] = Object.values(printed.attributions);
    expect(attribution!.dims).toEqual([1, 3, 224, 224]);
    expect(printed.image).toMatchObject({ layout: 'NCHW', path: photograph('cat.jpg') });
    expect(printed.image!.crop.width).toBeGreaterThan(0);
    expect(printed.baselineValue).toBeNull();
    expect(printed.predictions).toHaveLength(5);
    expect(printed.predictions![0]!.label).toMatch(/cat|tabby/);
  });

  it('explains tensors', async () => {
    const printed = await tensors();
    expect(printed.attributions['x']!.dims).toEqual([1, 4]);
    expect(printed.options['baseline']).toBe('zero');
    expect(printed.tokens).toBeUndefined();
    expect(printed.image).toBeUndefined();
  });

  it('explains a text pair', async () => {
    const printed = await text('--pair', 'No, thank you');
    expect(printed.text!.texts).toEqual([MAIL, 'No, thank you']);
    expect(new Set(printed.text!.segments)).toEqual(new Set([null, 0, 1]));
  });

  it('explains an output by its name, next to one that is no tensor', async () => {
    const printed = await explain(folder.at('zipmap.onnx'), '--inputs', inputs, '--output', 'scores');
    expect(printed.output).toBe('scores');
  });

  it('reads weights from the file beside the model', async () => {
    folder.write('weights.bin', new Uint8Array(Float32Array.from({ length: 12 }, (_, at) => at - 6).buffer));
    const printed = await explain(folder.write('external.onnx', externalWeight('weights.bin')), '--inputs', inputs);
    expect(printed.convergenceDelta).toBeCloseTo(0, 4);
  });

  it('takes a target by label, index or difference', async () => {
    const [ham, spam, difference, last] = await Promise.all(
      ['ham', '1', 'spam-ham', '-1'].map((target) => text('--target', target)),
    );
    expect(ham!.target).toEqual({ label: 'ham', indices: [0] });
    expect(spam!.target).toEqual({ label: 'spam', indices: [1] });
    expect(last!.target).toEqual(spam!.target);
    expect(difference!.target).toEqual({ label: 'spam - ham', indices: [1], minus: [0] });
    expect(difference!.value).toBeCloseTo(spam!.value - ham!.value, 4);
  });

  it.each(['zero', 'pad', 'mask', 'unk'])('takes the baseline %s for a text', async (baseline) => {
    const printed = await text('--baseline', baseline);
    expect(printed.options['baseline']).toBe(baseline);
    expect(Math.abs(printed.convergenceDelta!)).toBeLessThan(0.02 * Math.abs(printed.value - printed.baselineValue!));
  });

  it.each(['zero', '0.5', '-1'])('takes the baseline %s for tensors', async (baseline) => {
    const printed = await tensors('--baseline', baseline);
    expect(printed.options['baseline']).toBe(baseline);
    const value = Number(baseline) || 0;
    const { y } = await runModel(perceptron(), {
      x: { type: 'float32', dims: [1, 4], data: new Float32Array(4).fill(value) },
    });
    expect(printed.baselineValue).toBeCloseTo(Number(y!.data[printed.target.indices[0]!]), 4);
  });

  it('takes a baseline from a file', async () => {
    const file = folder.write('baseline.json', { x: { dims: [1, 4], data: [1, 2, 0, 0] } });
    const printed = await tensors('--baseline', `@${file}`);
    expect(printed.options['baseline']).toBe('given');
    const { data } = printed.attributions['x']!;
    expect(data.slice(0, 2), 'where input and baseline agree').toEqual([0, 0]);
    expect(data.slice(2).every((score) => score !== 0)).toBe(true);
  });

  it('takes a feature mask from a file: a group is perturbed as one', async () => {
    const file = folder.write('mask.json', { x: { dims: [1, 4], data: [7, 3, 7, 3] } });
    const mask = ['--method', 'exact-shapley', '--feature-mask', `@${file}`];
    const [grouped, alone] = await Promise.all([tensors(...mask), tensors('--method', 'exact-shapley')]);
    const [first, second, third, fourth] = grouped.attributions['x']!.data;
    expect([third, fourth]).toEqual([first, second]);
    expect(alone.attributions['x']!.data[2]).not.toBe(alone.attributions['x']!.data[0]);
    expect(Math.abs(grouped.convergenceDelta!)).toBeLessThan(1e-4);
  });

  it.each(['mean', 'blur', 'noise', 'black'])('takes the baseline %s for a picture', async (baseline) => {
    const options = ['--baseline', baseline, '--option', 'steps=2', '--seed', '3'];
    const printed = await explain(IMAGE_MODEL, '--image', photograph('cat.jpg'), ...options);
    expect(printed.options['baseline']).toBe(baseline);
    expect(printed.baselineValue).not.toBeNull();
  });

  it('gives the same noise for the same seed and another for another', async () => {
    const run = (seed: string) =>
      explain(
        IMAGE_MODEL,
        '--image',
        photograph('cat.jpg'),
        '--baseline',
        'noise',
        '--option',
        'steps=1',
        '--seed',
        seed,
      );
    const [first, again, other] = [await run('1'), await run('1'), await run('2')];
    expect(again.baselineValue).toBe(first.baselineValue);
    expect(again.attributions).toEqual(first.attributions);
    expect(other.baselineValue).not.toBe(first.baselineValue);
  });

  it('takes options of the method', async () => {
    const printed = await tensors('--option', 'steps=7', '--option', 'rule=midpoint');
    expect(printed.options).toMatchObject({ rule: 'midpoint' });
    expect(printed.runtime.passes).toBeGreaterThanOrEqual(7);
    const signed = await tensors('--method', 'saliency', '--option', 'signed=true');
    expect(signed.options).toMatchObject({ signed: true });
    expect(signed.attributions['x']!.data.some((score) => score < 0)).toBe(true);
  });

  it('does without a cache where there can be none', async () => {
    const env = { XDG_CACHE_HOME: folder.write('no-folder', 'a file in the way') };
    const printed = await onnxrayJson<Printed>(['explain', model, '--inputs', inputs], { env });
    expect(printed.attributions).toEqual((await tensors()).attributions);
  });

  it('leaves nothing anywhere but its own folder of the cache', async () => {
    const [cache, cwd] = [folder.at('fresh-cache'), folder.at('fresh-folder')];
    mkdirSync(cwd);
    await onnxrayJson(['explain', model, '--inputs', inputs], { cwd, env: { XDG_CACHE_HOME: cache } });
    expect([readdirSync(cache), readdirSync(cwd)]).toEqual([['onnxray'], []]);
  });

  it('says how many threads computed', async () => {
    expect((await tensors('--threads', '1')).runtime.threads).toBe(1);
  });

  it('reads a text that is longer than the model and says what it left out', async () => {
    const printed = await explain(TEXT_MODEL, '--text', 'free money '.repeat(400), '--method', 'input-x-gradient');
    expect(printed.tokens).toHaveLength(256);
    expect(printed.text!.truncated).toBe(800 - 254);
    expect(printed.warnings.join()).toMatch(/last 546 tokens/);
  });

  it('keeps texts in any script and with anything in them', async () => {
    const texts = ['你好，免费', '<script>alert(1)</script>', '🎉🎉 frée\u0301', '\u202ertl', '--json', '"\'\\ $HOME'];
    for (const given of texts) {
      const printed = await explain(TEXT_MODEL, `--text=${given}`, '--method', 'saliency');
      expect(printed.text!.texts).toEqual([given]);
    }
  });
});

describe('pictures of all kinds', () => {
  const saliency = async (file: string) =>
    explain(IMAGE_MODEL, '--image', file, '--method', 'saliency', '--target', '281');
  beforeAll(async () => {
    const cat = sharp(photograph('cat.jpg'));
    const tiny = { create: { width: 1, height: 1, channels: 3, background: 'red' } } as const;
    await Promise.all([
      sharp(tiny).png().toFile(folder.at('dot.png')),
      cat.clone().greyscale().png().toFile(folder.at('grey.png')),
      cat.clone().ensureAlpha(0.5).webp({ lossless: true }).toFile(folder.at('alpha.webp')),
      cat.clone().toColourspace('rgb16').png().toFile(folder.at('deep.png')),
      // Stored on its side, with the note to turn it back.
      cat.clone().rotate(90).withMetadata({ orientation: 8 }).png().toFile(folder.at('turned.png')),
      cat.clone().png().toFile(folder.at('plain.png')),
    ]);
  });

  it.each(['dot.png', 'grey.png', 'alpha.webp', 'deep.png'])('reads %s', async (name) => {
    const printed = await saliency(folder.at(name));
    expect(printed.attributions[printed.image!.input]!.data.some((score) => score > 0)).toBe(true);
  });

  it('turns a picture as its EXIF data says', async () => {
    const [plain, turned] = [await saliency(folder.at('plain.png')), await saliency(folder.at('turned.png'))];
    expect([turned.image!.width, turned.image!.height]).toEqual([plain.image!.width, plain.image!.height]);
    expect(turned.value).toBeCloseTo(plain.value, 4);
  });

  it('sees 16 bits as it sees 8', async () => {
    const [plain, deep] = [await saliency(folder.at('plain.png')), await saliency(folder.at('deep.png'))];
    expect(deep.value).toBeCloseTo(plain.value, 1);
  });
});

describe('explain --out', () => {
  const signatures: readonly (readonly [string, (bytes: Buffer) => boolean])[] = [
    ['html', (bytes) => /^<!doctype html>[\s\S]*<\/html>\s*$/i.test(String(bytes))],
    ['svg', (bytes) => /^<(?:\?xml|svg)[\s\S]*<\/svg>\s*$/.test(String(bytes))],
    ['png', (bytes) => bytes.subarray(1, 4).toString() === 'PNG' && bytes.includes('IEND')],
    ['json', (bytes) => parseExplanation(String(bytes)).method === 'integrated-gradients'],
  ];
  it.each(signatures)('writes whole .%s files and says so', async (format, isWhole) => {
    const file = folder.at(`why.${format}`);
    const { code, stdout, stderr } = await onnxray(['explain', TEXT_MODEL, '--text', MAIL, '--out', file]);
    expect([code, stdout, stderr]).toEqual([0, `wrote ${file}\n`, '']);
    expect(isWhole(readFileSync(file))).toBe(true);
  });

  it('with --json prints the document and nothing of the file', async () => {
    const file = folder.at('both.json');
    const printed = await tensors('--out', file);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(printed);
    expect(readdirSync(folder.path).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('draws a picture with its scores', async () => {
    const file = folder.at('cat.png');
    const cat = photograph('cat.jpg');
    const outcome = await onnxray(['explain', IMAGE_MODEL, '--image', cat, '--method', 'saliency', '--out', file]);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    const { width } = await sharp(file).metadata();
    expect(width).toBeGreaterThan(200);
  });

  it('prints a view for people without colour codes when there is no terminal', async () => {
    const { code, stdout, stderr } = await onnxray(['explain', TEXT_MODEL, '--text', MAIL]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/prize/);
    expect(stdout).not.toContain('\u001b[');
    const chinese = await onnxray(['explain', TEXT_MODEL, '--text', MAIL, '--language', 'zh']);
    expect(chinese.stdout).toMatch(/[\u4e00-\u9fff]/);
  });
});

describe('gradient', () => {
  it('writes a model that any onnxruntime runs, and says what is where', async () => {
    const file = folder.at('gradient.onnx');
    const printed = await onnxrayJson<object>(['gradient', model, '--of', 'y', '--wrt', 'x', 'w1', '-o', file]);
    expect(printed).toEqual({ file, gradients: { x: 'x_grad', w1: 'w1_grad' } });
    const feeds = { x: { type: 'float32', dims: [1, 4], data: Float32Array.from(row.data) } } as const;
    const results = await runModel(readFileSync(file), feeds);
    const plain = await runModel(perceptron(), feeds);
    expect(results['y']!.data).toEqual(plain['y']!.data);
    expect(results['x_grad']!.dims).toEqual([1, 4]);
    expect(results['w1_grad']!.dims).toEqual([4, 8]);
  });

  it('adds an input for the weights of the elements', async () => {
    const file = folder.at('seeded.onnx');
    await onnxrayJson(['gradient', model, '--of', 'y', '--wrt', 'x', '--seed-input', 'seed', '-o', file]);
    const x = { type: 'float32', dims: [1, 4], data: Float32Array.from(row.data) } as const;
    const gradientOf = async (seed: readonly number[]) => {
      const seeds = { type: 'float32', dims: [1, 3], data: Float32Array.from(seed) } as const;
      return Array.from((await runModel(readFileSync(file), { x, seed: seeds }))['x_grad']!.data, Number);
    };
    const [first, third, both] = [
      await gradientOf([1, 0, 0]),
      await gradientOf([0, 0, 1]),
      await gradientOf([2, 0, -1]),
    ];
    both.forEach((value, at) => expect(value).toBeCloseTo(2 * first[at]! - third[at]!, 5));
  });

  it('says in a line what it wrote without --json', async () => {
    const file = folder.at('said.onnx');
    const outcome = await onnxray(['gradient', model, '--of', 'y', '--wrt', 'x', '-o', file]);
    expect(outcome).toMatchObject({ code: 0, stdout: `${file}: d y / d x is output x_grad\n`, stderr: '' });
  });
});

describe('places with difficult names', () => {
  it('are all one to every command', async () => {
    const place = folder.at(`it's a "dir" with ünïcödé 模型 $HOME & more`);
    mkdirSync(place, { recursive: true });
    const file = path.join(place, 'mo del.onnx');
    copyFileSync(model, file);
    const given = path.join(place, 'in puts.json');
    copyFileSync(inputs, given);
    expect((await explain(file, '--inputs', given)).model.path).toBe(file);
    expect(await onnxrayJson(['inspect', place])).toMatchObject({ inputs: [{ name: 'x' }] });
    const out = path.join(place, 'ou t.onnx');
    await onnxrayJson(['gradient', file, '--of', 'y', '--wrt', 'x', '-o', out]);
    const relative = await onnxray(['explain', 'mo del.onnx', '--inputs', 'in puts.json', '--out', 'why.svg'], {
      cwd: place,
    });
    expect(relative).toMatchObject({ code: 0, stdout: 'wrote why.svg\n', stderr: '' });
  });
});

describe('demo', () => {
  it('writes a page with its pictures that names no place of this machine', { timeout: 120_000 }, async () => {
    const out = folder.at('report');
    const { code, stdout, stderr } = await onnxray(['demo', '--out', out]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`wrote ${path.join(out, 'index.html')}`);
    const page = readFileSync(path.join(out, 'index.html'), 'utf8');
    // Never the page itself in a message: it is of megabytes.
    expect(/^<!doctype html>[\s\S]*<\/html>\s*$/i.test(page), 'a whole page').toBe(true);
    expect(/(?:src|href)="https?:[^"]*\.(?:js|css|png)/.test(page), 'loads something').toBe(false);
    for (const place of [repository, homedir(), tmpdir(), process.cwd()])
      if (place.length > 5) expect(page.includes(place), `the page names ${place}`).toBe(false);
    for (const name of ['MiniLM', 'EfficientNet-Lite0']) expect(page.includes(name), name).toBe(true);
    const files = readdirSync(out);
    expect(files.filter((name) => name.endsWith('.png')).length).toBeGreaterThanOrEqual(6);
    expect(files.filter((name) => name.includes('partial'))).toEqual([]);
  });
});
