/** The embedded text model, end to end: what scores mean, whatever runs them. */
import { readFileSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import type { ExplainOptions } from '../../src/attribution/index.ts';
import { differentiate } from '../../src/autodiff/index.ts';
import type { Explanation } from '../../src/explanation/index.ts';
import { sumOfScores } from '../../src/explanation/index.ts';
import { encodeText, loadTokenizer } from '../../src/inputs/index.ts';
import { normalizeModel, readModel, writeModel } from '../../src/onnx/index.ts';
import type { DenseTensor, NamedTensors } from '../../src/onnx/index.ts';
import { findFeatures } from '../../src/programs/index.ts';
import type { HostOptions, Session } from '../../src/runtime/index.ts';
import { openSession } from '../../src/runtime/index.ts';
import { openModel, requireTokenizer } from '../../src/tasks/index.ts';
import { TEXT_MODEL, testFolder } from '../folder.ts';
import { bakedBatch, perceptron, randomTensor, readsBatch } from '../handmade.ts';
import { chance, numbersOf } from '../models.ts';
import { withInput, withOutput } from '../models/differences.ts';

const folder = testFolder('spine');
/** An embedding is of length 1.4 or so. */
const STEP = 0.02;
const TEXT = 'Congratulations, you have won a free prize: reply now to claim your money.';

async function explainWith(
  host: HostOptions,
  options: ExplainOptions = {},
  location = TEXT_MODEL,
  subject: Parameters<ExplainableModel['explain']>[0] = { text: TEXT },
): Promise<Explanation> {
  const model = await ExplainableModel.open(location, { cache: false, ...host });
  try {
    return (await model.explain(subject, options)).explanation;
  } finally {
    await model.release();
  }
}

const scoresOf = ({ attributions }: Explanation): number[] => Array.from(Object.values(attributions)[0]!.data);

function expectClose(actual: readonly number[], expected: readonly number[], bound: number): void {
  expect(actual).toHaveLength(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  const worst = Math.max(...actual.map((value, at) => Math.abs(value - expected[at]!))) / scale;
  expect(worst, 'largest difference relative to the largest score').toBeLessThanOrEqual(bound);
}

describe('integrated gradients', () => {
  it.each(['pad', 'mask', 'zero'] as const)(
    'sum to what the answer differs by from that of the baseline %s',
    async (baseline) => {
      for (const target of ['spam', 'ham', 'spam-ham']) {
        const explanation = await explainWith({}, { baseline, target, options: { tolerance: 0.01 } });
        const difference = explanation.value - explanation.baselineValue!;
        expect(Math.abs(difference), 'there is something to explain').toBeGreaterThan(0.1);
        expect(Math.abs(sumOfScores(explanation.attributions) - difference)).toBeLessThanOrEqual(
          0.01 * Math.abs(difference) + 1e-6,
        );
        expect(explanation.warnings).toEqual([]);
      }
    },
  );

  it('come closer with a smaller tolerance', async () => {
    const gap = async (tolerance: number) => {
      const { convergenceDelta, value, baselineValue } = await explainWith({}, { options: { tolerance } });
      return Math.abs(convergenceDelta!) / Math.abs(value - baselineValue!);
    };
    expect(await gap(0.001)).toBeLessThanOrEqual(0.001);
  });
});

describe('one row of the compiled program', () => {
  const { folder: files, inputs } = opened();
  const canonical = normalizeModel(readModel(readFileSync(files.modelPath)));
  const { tensors } = encodeText(loadTokenizer(requireTokenizer(files)), [TEXT], inputs, {
    config: files.config ?? {},
  });
  const { value: embedding } = findFeatures(canonical)[0]!;
  /** The model from its embeddings on. */
  const headless = withInput(canonical, embedding);
  const differentiated = differentiate(headless, { of: 'logits', wrt: [embedding], seed: { input: 'seed' } });
  const seed: DenseTensor = { type: 'float32', dims: [1, 2], data: Float32Array.of(0, 1) };
  let forward: Session;
  let feeds: NamedTensors;
  let gradient: number[];
  let vectors: number[];
  let hidden: number;

  beforeAll(async () => {
    const rows = await sessionOver(withOutput(canonical, embedding));
    const known = Object.fromEntries(Object.entries(tensors).filter(([name]) => rows.inputNames.includes(name)));
    const embedded = (await rows.run(known))[embedding]!;
    await rows.release();
    hidden = embedded.dims[2]!;
    vectors = numbersOf(embedded);
    forward = await sessionOver(headless);
    feeds = { ...pick(tensors, forward.inputNames), [embedding]: embedded };
    const backward = await sessionOver(differentiated.model);
    gradient = numbersOf((await backward.run({ ...feeds, seed }))[differentiated.gradients.get(embedding)!]!);
    await backward.release();
  });
  afterAll(() => forward.release());

  const logit = async (shift: (index: number) => number, step: number): Promise<number> => {
    const data = Float32Array.from(vectors, (value, index) => value + step * shift(index));
    const at: DenseTensor = { ...feeds[embedding]!, data };
    return numbersOf((await forward.run({ ...feeds, [embedding]: at }))['logits']!)[1]!;
  };
  /** Five-point central difference. */
  const slope = async (shift: (index: number) => number, step: number): Promise<number> => {
    const [near, far] = [
      (await logit(shift, step)) - (await logit(shift, -step)),
      (await logit(shift, 2 * step)) - (await logit(shift, -2 * step)),
    ];
    return (8 * near - far) / (12 * step);
  };
  const tokenOf = (index: number) => Math.floor(index / hidden);

  it('has input times gradient as the slope when a token’s embedding grows', async () => {
    const explanation = await explainWith({}, { method: 'input-x-gradient', target: 'spam' });
    const scores = scoresOf(explanation);
    const slopes: number[] = [];
    for (let token = 0; token < scores.length; token++)
      slopes.push(await slope((index) => (tokenOf(index) === token ? vectors[index]! : 0), 0.05));
    expectClose(scores, slopes, 5e-3);
  });

  it('has saliency as the slope in the direction in which a token’s embedding matters most', async () => {
    const explanation = await explainWith({}, { method: 'saliency', target: 'spam' });
    const scores = scoresOf(explanation);
    const norms = scores.map((_, token) =>
      Math.sqrt(gradient.slice(token * hidden, (token + 1) * hidden).reduce((sum, value) => sum + value * value, 0)),
    );
    expectClose(scores, norms, 1e-4);
    const [slopes, others]: [number[], number[]] = [[], []];
    const random = chance(7);
    for (let token = 0; token < scores.length; token++) {
      const along = (index: number) => (tokenOf(index) === token ? gradient[index]! / norms[token]! : 0);
      slopes.push(await slope(along, STEP));
      const any = Array.from({ length: hidden }, () => random());
      const length = Math.sqrt(any.reduce((sum, value) => sum + value * value, 0));
      others.push(await slope((index) => (tokenOf(index) === token ? any[index % hidden]! / length : 0), STEP));
    }
    expectClose(scores, slopes, 5e-3);
    const most = Math.max(...scores);
    others.forEach((other, token) => expect(Math.abs(other)).toBeLessThanOrEqual(scores[token]! + 5e-3 * most));
  });

  it('answers as the unmodified model does', async () => {
    const original = await openSession(readFileSync(files.modelPath));
    const logits = numbersOf((await original.run(tensors))['logits']!);
    await original.release();
    for (const method of ['integrated-gradients', 'input-x-gradient', 'saliency'])
      for (const [target, index] of [
        ['ham', 0],
        ['spam', 1],
      ] as const)
        expect((await explainWith({}, { method, target })).value).toBeCloseTo(logits[index]!, 4);
  });
});

describe('scores do not depend on', () => {
  it.each(['integrated-gradients', 'input-x-gradient', 'saliency'])(
    'how far onnxruntime rewrites the graph: %s',
    async (method) => {
      const options: ExplainOptions =
        method === 'integrated-gradients' ? { method, options: { steps: 8 } } : { method };
      const reference = scoresOf(await explainWith({ optimization: 'disabled' }, options));
      for (const optimization of ['basic', 'extended', 'all'] as const)
        expectClose(scoresOf(await explainWith({ optimization }, options)), reference, 1e-4);
    },
  );

  it('how many rows fit into memory at once', async () => {
    const options = { options: { steps: 40 } };
    const done: number[] = [];
    const onProgress = (rows: number) => done.push(rows);
    const one = await explainWith({}, { ...options, memoryBudget: 1, onProgress });
    expect(done, 'one row at a time').toEqual(Array.from({ length: 42 }, (_, index) => index + 1));
    done.length = 0;
    const many = await explainWith({}, { ...options, memoryBudget: 2 ** 40, onProgress });
    expect(done.length, 'many at a time').toBeLessThan(4);
    expect(done.at(-1)).toBe(42);
    expectClose(scoresOf(many), scoresOf(one), 1e-5);
  });

  it('whether the batch is written into the graph', async () => {
    const x = { tensors: { x: randomTensor([1, 2, 8], 21) } };
    const files = [folder.write('baked.onnx', bakedBatch(1)), folder.write('free.onnx', bakedBatch(0))];
    for (const method of ['integrated-gradients', 'saliency']) {
      const steps: number[] = [];
      const onProgress = (rows: number) => steps.push(rows);
      const options = method === 'saliency' ? { method } : { method, options: { steps: 12 } };
      const [baked, free] = [
        await explainWith({}, { ...options, onProgress }, files[0]!, x),
        await explainWith({}, options, files[1]!, x),
      ];
      expectClose(scoresOf(baked), scoresOf(free), 1e-5);
      expect(steps, 'one row at a time').toEqual(steps.map((_, index) => index + 1));
    }
  });
});

describe('rows of a model that reads its batch off its input', () => {
  it('run together, though the program is compiled for one size of input', async () => {
    const file = folder.write('reads-batch.onnx', readsBatch());
    const done: number[] = [];
    const onProgress = (rows: number) => done.push(rows);
    const x = { tensors: { x: randomTensor([1, 2, 8], 22) } };
    const options = { options: { steps: 80 } };
    const explanation = await explainWith({}, { ...options, onProgress }, file, x);
    expect(done).toEqual([64, 82]);
    expectClose(scoresOf(explanation), scoresOf(await explainWith({}, { ...options, memoryBudget: 1 }, file, x)), 1e-5);
  });
});

describe('one program', () => {
  it('serves every class, and is compiled once', async () => {
    const cache = folder.at('cache');
    const programs = () => readdirSync(cache).filter((name) => name.endsWith('.onnx'));
    await explainWith({ cache }, { target: 'spam', options: { steps: 4 } });
    const first = programs();
    for (const target of ['ham', 'spam-ham', '1']) await explainWith({ cache }, { target, options: { steps: 4 } });
    expect(first).toHaveLength(1);
    expect(programs()).toEqual(first);
    await explainWith({ cache }, { method: 'saliency' });
    expect(programs(), 'another method, another program').toHaveLength(2);
  });
});

describe('a caller', () => {
  const file = folder.write('perceptron.onnx', perceptron());
  const subject = { tensors: { x: randomTensor([1, 4], 5) } };

  it('is told of rows done and to do', async () => {
    const events: [number, number][] = [];
    const onProgress = (done: number, total: number) => events.push([done, total]);
    await explainWith({}, { options: { steps: 100 }, onProgress }, file, subject);
    expect(events).toEqual([
      [64, 102],
      [102, 102],
    ]);
  });

  it('can give up before and between batches', async () => {
    const reason = new Error('enough');
    await expect(explainWith({}, { signal: AbortSignal.abort(reason) }, file, subject)).rejects.toBe(reason);
    const controller = new AbortController();
    const onProgress = () => controller.abort(reason);
    const running = explainWith({}, { options: { steps: 100 }, onProgress, signal: controller.signal }, file, subject);
    await expect(running).rejects.toBe(reason);
  });

  it('can give up during a run in a child process, and explain again with the same model', async () => {
    const model = await ExplainableModel.open(TEXT_MODEL, { isolated: true, cache: false });
    try {
      await model.explain({ text: TEXT }, { method: 'saliency' });
      const signal = AbortSignal.timeout(30);
      const steps = { options: { steps: 200 } };
      await expect(model.explain({ text: TEXT.repeat(3) }, { ...steps, signal })).rejects.toThrow(/timeout/i);
      const { explanation } = await model.explain({ text: TEXT }, { options: { steps: 4 } });
      expect(explanation.target.label).toBe('spam');
    } finally {
      await model.release();
    }
  });
});

function opened() {
  const files = openModel(TEXT_MODEL);
  return { folder: files, inputs: readModel(readFileSync(files.modelPath)).graph.inputs };
}

const sessionOver = (model: Parameters<typeof writeModel>[0]) => openSession(writeModel(model), { threads: 1 });
const pick = (tensors: NamedTensors, names: readonly string[]): NamedTensors =>
  Object.fromEntries(Object.entries(tensors).filter(([name]) => names.includes(name)));
