import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import type { Explanation } from '../../src/explanation/index.ts';
import { encodeImage, readImage } from '../../src/inputs/index.ts';
import { lowerForWebGpu, readModel } from '../../src/onnx/index.ts';
import type { DenseTensor } from '../../src/onnx/index.ts';
import { openModel } from '../../src/tasks/index.ts';
import { topPatches, visualiseFeatures } from '../../src/visualisation/index.ts';
import { ALL, BOUND, caseName, onePerOperator, prepareCase, worstError } from './cases.ts';
import type { Outcome } from './cases.ts';
import {
  COMMITTED,
  WITHOUT_KERNELS,
  agrees,
  committedGradient,
  compareCommitted,
  onItsDecisions,
} from './committed.ts';
import type { Agreement, CommittedGradient, Runner } from './committed.ts';
import { openBrowser } from './chromium.ts';
import type { OpenBrowser } from './chromium.ts';
import { callPage, runInPage } from './run.ts';

const root = path.resolve(import.meta.dirname, '../..');
let browser: OpenBrowser;

beforeAll(async () => {
  browser = await openBrowser();
}, 300_000);
afterAll(() => browser?.close());

/** Names of programs that do not agree with the CPU, with what came instead. */
function disagreements(names: readonly string[], errors: readonly (number | string)[]): string[] {
  return names.flatMap((name, at) => {
    const error = errors[at]!;
    return typeof error === 'number' && error <= BOUND ? [] : [`${name}: ${error}`];
  });
}

const errorsOf = (expected: readonly Awaited<ReturnType<typeof prepareCase>>[], outcomes: readonly Outcome[]) =>
  outcomes.map((outcome, at) => (typeof outcome === 'string' ? outcome : worstError(expected[at]!.expected, outcome)));

describe('what the gradient rules emit', () => {
  it('computes on WASM what it computes on the CPU: every case, first and second order', async () => {
    const prepared = [];
    for (const c of ALL) prepared.push(await prepareCase(c, 2));
    const outcomes = await runInPage(
      browser.isolated,
      'wasm',
      prepared.map(({ plain }) => plain),
    );
    expect(disagreements(ALL.map(caseName), errorsOf(prepared, outcomes))).toEqual([]);
  }, 600_000);

  it('computes on WebGPU what it computes on the CPU: every operator (npm run backends: every case)', async () => {
    const able = onePerOperator();
    const prepared = [];
    for (const c of able) prepared.push(await prepareCase(c, 1));
    const outcomes = await runInPage(
      browser.isolated,
      'webgpu',
      prepared.map(({ webgpu }) => webgpu),
    );
    expect(disagreements(able.map(caseName), errorsOf(prepared, outcomes))).toEqual([]);
  }, 600_000);
});

describe('one gradient of a committed model', () => {
  const failed = (agreements: readonly Agreement[]) =>
    agreements.filter((each) => !agrees(each)).map(({ file, error, refused }) => `${file}: ${refused ?? error}`);

  it('is on WASM what it is on the CPU: all models', async () => {
    const gradients: CommittedGradient[] = [];
    for (const file of COMMITTED) if (!WITHOUT_KERNELS.includes(file)) gradients.push(await committedGradient(file));
    expect(gradients.length).toBeGreaterThan(90);
    const run: Runner = (programs) => runInPage(browser.isolated, 'wasm', programs);
    expect(failed(await compareCommitted(gradients, run, (model) => model))).toEqual([]);
  }, 600_000);

  it('is on WebGPU what it is on the CPU: some models (npm run backends: all)', async () => {
    const gradients = await Promise.all(
      [
        'test/attribution/fixtures/cnn.onnx',
        'test/attribution/fixtures/mlp.onnx',
        'test/models/fixtures/architectures/convnext/eager-dynamo-opt-int8.onnx',
        'test/vision/detectors/yolov8-seg.onnx',
      ].map((file) => committedGradient(file)),
    );
    const run: Runner = (programs) => runInPage(browser.isolated, 'webgpu', programs);
    expect(failed(await compareCommitted(gradients, run, lowerForWebGpu))).toEqual([]);
  }, 600_000);

  // On the way to a photograph, where integrated gradients ask: at 0.6 of the cat.
  it('is on WASM what it is on the CPU: the picture model, but for a few kinks, without which it is the same', async () => {
    const file = 'zoo/image-imagenet/onnx/model.onnx';
    const { preprocessor, modelPath } = openModel(path.join(root, 'zoo/image-imagenet'));
    const { inputs } = readModel(readFileSync(modelPath)).graph;
    const { tensors } = await encodeImage(path.join(root, 'zoo/photographs/cat.jpg'), inputs, preprocessor);
    const [[name, tensor]] = Object.entries(tensors) as [[string, DenseTensor]];
    const data = Float32Array.from(tensor.data as Float32Array, (value) => 0.6 * value);
    const gradient = await committedGradient(file, { [name]: { ...tensor, data } });
    const run: Runner = (programs) => runInPage(browser.isolated, 'wasm', programs);
    expect(failed(await compareCommitted([gradient], run, (model) => model))).toEqual([]);
  }, 600_000);

  // Whatever a net of rectifiers is at, some of its millions of values are within rounding of a kink.
  it('is on WebGPU what it is on the CPU: the picture model, with the CPU’s side of each kink', async () => {
    const { given } = await onItsDecisions(await committedGradient('zoo/image-imagenet/onnx/model.onnx'));
    const run: Runner = (programs) => runInPage(browser.isolated, 'webgpu', programs);
    const [agreement] = await compareCommitted([given], run, lowerForWebGpu);
    expect(agreement!.error).toBeLessThanOrEqual(BOUND);
  }, 600_000);
});

describe('the embedded models, explained in a browser', () => {
  const text = { text: 'Congratulations! Claim your free prize now' };
  const picture = path.join(root, 'zoo/photographs/cat.jpg');

  const inNode = async (model: string, subject: object, options: object, host = {}): Promise<Explanation> => {
    const open = await ExplainableModel.open(path.join(root, 'zoo', model), { cache: false, ...host });
    try {
      return (await open.explain(subject as { text: string }, options)).explanation;
    } finally {
      await open.release();
    }
  };
  const PICTURE_OPTIONS = { method: 'integrated-gradients', options: { steps: 4 } };
  let known: Promise<[Explanation, Explanation]> | undefined;
  /** The picture in Node, with all of onnxruntime's optimisations and with none. */
  const pictureInNode = () =>
    (known ??= Promise.all([
      inNode('image-imagenet', { image: picture }, PICTURE_OPTIONS),
      inNode('image-imagenet', { image: picture }, PICTURE_OPTIONS, { optimization: 'disabled' }),
    ]));
  const scoresOf = ({ attributions }: Explanation): number[] => Array.from(Object.values(attributions)[0]!.data);
  /** Sum of the differences over the sum of the sizes. */
  const distance = (scores: readonly number[], expected: readonly number[]): number => {
    let [apart, size] = [0, 0];
    expected.forEach((value, at) => {
      apart += Math.abs(value - scores[at]!);
      size += Math.abs(value);
    });
    return apart / size;
  };
  const worst = (scores: readonly number[], explanation: Explanation): number => {
    const expected = Array.from(Object.values(explanation.attributions)[0]!.data);
    const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(scores).toHaveLength(expected.length);
    return scores.reduce((most, value, at) => Math.max(most, Math.abs(value - expected[at]!) / scale), 0);
  };

  it.each([
    ['with threads', () => browser.isolated, 2],
    ['on a page without isolation, in one thread', () => browser.plain, 1],
  ])(
    'text, by integrated gradients on WASM %s, has the scores of Node',
    async (_, page, threads) => {
      const options = { method: 'integrated-gradients', options: { steps: 8 } };
      const { explanation, scores } = await callPage(page(), 'explain', 'text-spam', text, { threads: 2 }, options);
      expect(explanation.runtime).toMatchObject({ provider: 'wasm', threads });
      expect(explanation.predictions?.[0]?.label).toBe('spam');
      expect(worst(scores, await inNode('text-spam', text, options))).toBeLessThanOrEqual(BOUND);
    },
    300_000,
  );

  it('text, by integrated gradients on WebGPU, has the scores of Node', async () => {
    const options = { method: 'integrated-gradients', options: { steps: 4 } };
    const host = { provider: 'webgpu' } as const;
    const { explanation, scores } = await callPage(browser.isolated, 'explain', 'text-spam', text, host, options);
    expect(explanation.warnings).toEqual([]);
    expect(explanation.runtime.provider).toBe('webgpu');
    expect(worst(scores, await inNode('text-spam', text, options))).toBeLessThanOrEqual(BOUND);
  }, 600_000);

  // A net of rectifiers has gradients that jump, and float32 decides otherwise at some of its millions of kinks whenever
  // sums are taken in another order: onnxruntime's CPU differs from itself by as much at another optimisation level.
  // Not on WebGPU, where an adapter in software takes 20 seconds for one gradient: that one is above.
  it('a picture, by integrated gradients on WASM, has scores as near to those of Node as Node has without optimisation', async () => {
    const { width, height, channels, data } = await readImage(picture);
    const pixels = { image: { width, height, channels, data: Array.from(data) } };
    const { explanation, scores } = await callPage(
      browser.isolated,
      'explain',
      'image-imagenet',
      pixels,
      {},
      PICTURE_OPTIONS,
    );
    expect(explanation.warnings).toEqual([]);
    expect(explanation.runtime.provider).toBe('wasm');
    const [optimized, plain] = await pictureInNode();
    expect(Math.abs(explanation.value - optimized.value)).toBeLessThanOrEqual(BOUND * Math.abs(optimized.value));
    const expected = scoresOf(optimized);
    const floor = distance(scoresOf(plain), expected);
    expect(distance(scores, expected)).toBeLessThanOrEqual(Math.max(BOUND, 2 * floor));
  }, 600_000);

  it('find what excites a channel, in a photograph and by gradients, as in Node', async () => {
    const [layer, channel] = ['blocks.2.Add', 0];
    const there = await callPage(
      browser.isolated,
      'visualise',
      'image-imagenet',
      '/zoo/photographs/cat.jpg',
      layer,
      channel,
    );
    const open = await ExplainableModel.open(path.join(root, 'zoo/image-imagenet'), { cache: false });
    const patches = await topPatches(open, [picture], { layer, channels: [channel] });
    const found = await visualiseFeatures(open, { layer, channels: [channel] }, { options: { steps: 2 } });
    await open.release();
    const [patch] = patches.units[0]!.pictures;
    expect(there.patch.value).toBeCloseTo(patch!.value, 0);
    expect(there.patch.position).toEqual(patch!.source!.position);
    const [here] = found.units[0]!.pictures;
    expect(there.found.startValue).toBeCloseTo(here!.startValue!, 3);
    expect(there.found.value).toBeCloseTo(here!.value, 1);
    expect(there.drawn).toBe('<svg');
  }, 600_000);

  it('decodes a JPEG to the pixels that Node decodes, but for two levels of 255 here and there', async () => {
    const expected = await readImage(picture);
    const actual = await callPage(browser.isolated, 'decode', '/zoo/photographs/cat.jpg');
    expect(actual).toHaveLength(expected.data.length);
    const differences = actual.map((value, at) => Math.abs(value - expected.data[at]!));
    expect(differences.reduce((left, right) => Math.max(left, right), 0)).toBeLessThanOrEqual(2);
  }, 120_000);

  it('can be given up during a run, after which the same model explains again', async () => {
    const outcome = await callPage(browser.isolated, 'giveUp', '/zoo/text-spam/', 'Claim your free prize');
    expect(outcome).toEqual({ thrown: 'enough', progressed: true, again: 'spam' });
  }, 300_000);

  it('say so when there is no WebGPU, and run on WASM', async () => {
    const host = { provider: 'webgpu', worker: false } as const;
    const options = { method: 'saliency' };
    await browser.plain.evaluate(() => {
      Object.defineProperty(navigator, 'gpu', { value: undefined, configurable: true });
    });
    const { explanation } = await callPage(browser.plain, 'explain', 'text-spam', text, host, options);
    expect(explanation.runtime.provider).toBe('wasm');
    expect(explanation.warnings).toEqual([
      'this browser has no WebGPU here (it needs a secure page); the model runs on WASM instead',
    ]);
  }, 300_000);

  it('are drawn there: SVG, HTML and PNG', async () => {
    const drawn = await callPage(browser.isolated, 'draw', '/zoo/text-spam/', 'Claim your free prize');
    expect(drawn).toMatchObject({ svg: '<svg', html: '<!doctype html>', png: [137, 80, 78, 71] });
  }, 300_000);
});

describe('a broken model in a browser', () => {
  it('is refused in one line, as in Node', async () => {
    const refusals = await callPage(browser.isolated, 'refuse');
    expect(refusals[0]).toMatch(/^there is no model at .*nowhere/);
    expect(refusals[1]).toMatch(/^mine\.onnx: not an ONNX model/);
    expect(refusals[2]).toMatch(/^the picture is not a picture that this browser can read$/);
  }, 60_000);
});

it('the versions that explanations state are those that are installed', async () => {
  const { WEB_VERSIONS } = await import('../../src/runtime/web-versions.ts');
  const version = (file: string) =>
    (JSON.parse(readFileSync(path.join(root, file), 'utf8')) as { version: string }).version;
  expect(WEB_VERSIONS).toEqual({
    onnxray: version('package.json'),
    onnxruntime: version('node_modules/onnxruntime-web/package.json'),
  });
});
