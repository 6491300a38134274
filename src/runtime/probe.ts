/** Whether an execution provider works on this machine. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { writeModel } from '../onnx/index.ts';
import type { Model } from '../onnx/index.ts';
import { PROVIDER_NAMES } from './session.ts';
import type { Provider } from './session.ts';

const NUMBER = { type: 'float32', dims: [1] } as const;
/** y = x for one number. */
const IDENTITY: Model = {
  irVersion: 8,
  producer: 'onnxray',
  opsets: new Map([['', 13]]),
  graph: {
    name: 'identity',
    inputs: [{ name: 'x', ...NUMBER }],
    outputs: [{ name: 'y', ...NUMBER }],
    nodes: [{ name: 'identity', operator: 'Identity', domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }],
    initializers: new Map(),
    valueInfos: new Map(),
    otherTypes: new Map(),
  },
  functions: [],
  metadata: new Map(),
};

/**
 * Why a provider cannot be used here, as the first half of a sentence; undefined when it can. It is tried in a process of
 * its own, since graphics drivers that are not there, or not well, write to the terminal or end the process.
 */
export async function whyNot(provider: Provider): Promise<string | undefined> {
  if (provider === 'cpu') return undefined;
  if (provider === 'wasm') return 'WASM is for browsers';
  if (provider === 'cuda' && !hasCudaLibrary()) return 'onnxruntime-node was installed without its CUDA library';
  const script = `
    process.env.ORT_DISABLE_TELEMETRY ??= '1';
    const { default: ort } = await import(${JSON.stringify(pathToFileURL(libraryEntry()).href)});
    const model = Buffer.from('${Buffer.from(writeModel(IDENTITY)).toString('base64')}', 'base64');
    const session = await ort.InferenceSession.create(model, { executionProviders: ['${provider}'] });
    await session.run({ x: new ort.Tensor('float32', [1], [1]) });
    process.exit();`;
  const works = await new Promise<boolean>((resolve) => {
    execFile(process.execPath, ['--input-type=module', '-e', script], { timeout: 60_000 }, (error) =>
      resolve(error === null),
    );
  });
  return works ? undefined : `${PROVIDER_NAMES[provider]} does not work on this machine`;
}

const libraryEntry = (): string => createRequire(import.meta.url).resolve('onnxruntime-node');

function hasCudaLibrary(): boolean {
  const folder = path.join(path.dirname(libraryEntry()), '../bin/napi-v6', process.platform, process.arch);
  return ['libonnxruntime_providers_cuda.so', 'onnxruntime_providers_cuda.dll'].some((file) =>
    existsSync(path.join(folder, file)),
  );
}
