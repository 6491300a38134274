import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import type { Explanation } from '../../src/explanation/index.ts';
import { GraphBuilder, int, lowerForWebGpu, numbersWeight, string, writeModel } from '../../src/onnx/index.ts';
import { makeModel, makeNode } from '../models.ts';
import { ALL, BOUND, caseName, prepareCase, worstError } from './cases.ts';
import { softwareVulkan } from './chromium.ts';
import { runNatively } from './run.ts';

const root = path.resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-native-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `onnxray explain ... --json` with an adapter in software, or without any. */
async function explain(arguments_: readonly string[], env: Record<string, string>): Promise<Explanation> {
  const command = [path.join(root, 'dist/cli/bin.js'), 'explain', ...arguments_, '--json'];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, command, {
    env: { ...process.env, ...env },
    maxBuffer: 1e8,
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Explanation;
}

const WITHOUT_ADAPTER = { VK_ICD_FILENAMES: '/nowhere.json' };
const TEXT = [path.join(root, 'zoo/text-spam'), '--text', 'Claim your free prize', '--method', 'saliency'];

describe('WebGPU in Node', () => {
  it('computes what the CPU computes, where its kernels need other operators', async () => {
    const cases = ALL.filter((c) =>
      /^(MaxPool|ConvTranspose|Conv in three|AveragePool in three|LayerNormalization over a|Slice backwards|Sin |Cos )/.test(
        caseName(c),
      ),
    );
    expect(cases.length).toBeGreaterThan(20);
    const prepared: Awaited<ReturnType<typeof prepareCase>>[] = [];
    for (const c of cases) prepared.push(await prepareCase(c, 1));
    const outcomes = await runNatively(prepared.map(({ webgpu }) => webgpu));
    const apart = outcomes.flatMap((outcome, at) => {
      const error = typeof outcome === 'string' ? outcome : worstError(prepared[at]!.expected, outcome);
      return typeof error === 'number' && error <= BOUND ? [] : [`${caseName(cases[at]!)}: ${error}`];
    });
    expect(apart).toEqual([]);
  }, 600_000);

  it('explains a text as the CPU does', async () => {
    const [gpu, cpu] = [
      await explain([...TEXT, '--provider', 'webgpu'], softwareVulkan()),
      await explain([...TEXT, '--provider', 'cpu'], {}),
    ];
    expect(gpu.warnings).toEqual([]);
    expect(gpu.runtime.provider).toBe('webgpu');
    const [actual, expected] = [gpu, cpu].map(({ attributions }) => Array.from(attributions['input_ids']!.data));
    const scale = Math.max(...expected!.map(Math.abs));
    expect(Math.max(...expected!.map((value, at) => Math.abs(value - actual![at]!)))).toBeLessThanOrEqual(
      BOUND * scale,
    );
  }, 600_000);

  it('without an adapter leaves the model to the CPU and says so', async () => {
    const { runtime, warnings } = await explain([...TEXT, '--provider', 'webgpu'], WITHOUT_ADAPTER);
    expect(runtime.provider).toBe('cpu');
    expect(warnings).toEqual(['WebGPU does not work on this machine: the model runs on the CPU instead']);
  }, 120_000);

  it('leaves a model to the CPU whose operators it takes and then refuses, and says so', async () => {
    const model = makeModel({
      // With sizes that are an input there is nothing to put in its place.
      inputs: [
        { name: 'x', type: 'float32', dims: [1, 1, 4, 4] },
        { name: 'sizes', type: 'int64', dims: [1, 4] },
      ],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [
        makeNode('Squeeze', ['sizes', 'first'], ['list']),
        makeNode('Resize', ['x', '', '', 'list'], ['y'], { antialias: int(1), mode: string('linear') }),
      ],
      initializers: [['first', numbersWeight('int64', [1], [0])]],
    });
    const file = path.join(folder, 'resize.onnx');
    writeFileSync(file, writeModel(model));
    const inputs = path.join(folder, 'x.json');
    const data = Array.from({ length: 16 }, (_, at) => at);
    const sizes = { dims: [1, 4], type: 'int64', data: [1, 1, 2, 2] };
    writeFileSync(inputs, JSON.stringify({ x: { dims: [1, 1, 4, 4], type: 'float32', data }, sizes }));
    const asked = [file, '--inputs', inputs, '--method', 'input-x-gradient', '--target', '0,0,0'];
    const { runtime, warnings, value } = await explain([...asked, '--provider', 'webgpu'], softwareVulkan());
    expect(runtime.provider).toBe('cpu');
    expect(warnings).toEqual([
      expect.stringMatching(/^WebGPU cannot run this model .*: the model runs on the CPU instead$/),
    ]);
    expect(value).toBe((await explain(asked, {})).value);
  }, 120_000);
});

it('CUDA without its library leaves the model to the CPU and says so', async () => {
  const { runtime, warnings } = await explain([...TEXT, '--provider', 'cuda'], {});
  expect(runtime.provider).toBe('cpu');
  expect(warnings).toEqual([
    'onnxruntime-node was installed without its CUDA library: the model runs on the CPU instead',
  ]);
}, 120_000);

describe('a program for WebGPU', () => {
  it('is the same program where its kernels need nothing', () => {
    const b = new GraphBuilder(
      makeModel({ inputs: [{ name: 'x', type: 'float32', dims: [2, 3] }], outputs: [], nodes: [] }),
    );
    b.addOutput(b.exp('x'), 'y');
    const model = b.build();
    expect(lowerForWebGpu(model).graph.nodes).toEqual(model.graph.nodes);
  });
});
