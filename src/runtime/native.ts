import { availableParallelism } from 'node:os';
// oxlint-disable-next-line import/no-unassigned-import -- before the library is loaded
import './no-telemetry.ts';
import * as ort from 'onnxruntime-node';
import { UserError } from '../onnx/index.ts';
import type { DataType, DenseTensor, NamedTensors, TensorData } from '../onnx/index.ts';
import type { Session, SessionOptions } from './session.ts';

export function defaultThreads(): number {
  return availableParallelism();
}

/** Loads a model into this process. Its `run` blocks the event loop while it computes. */
export async function openSession(bytes: Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const { threads = defaultThreads(), provider = 'cpu', optimization = 'all', weightsFolder } = options;
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: optimization,
    // A plan of one block per input shape, kept beside what the first run used: it cost 1.7 times the memory here, for no time.
    enableMemPattern: false,
    // What goes wrong is thrown; onnxruntime need not print it as well.
    logSeverityLevel: 4,
    ...(weightsFolder === undefined
      ? {}
      : { extra: { session: { model_external_initializers_file_folder_path: weightsFolder } } }),
  }).catch((error: unknown) => {
    throw new UserError(`onnxruntime cannot load the model: ${firstLine(error)}`);
  });
  return new NativeSession(session);
}

class NativeSession implements Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  #session: ort.InferenceSession | undefined;

  constructor(session: ort.InferenceSession) {
    this.#session = session;
    this.inputNames = session.inputNames;
    this.outputNames = session.outputNames;
  }

  get closed(): boolean {
    return this.#session === undefined;
  }

  async run(
    feeds: NamedTensors,
    { outputs, signal }: { outputs?: readonly string[]; signal?: AbortSignal } = {},
  ): Promise<NamedTensors> {
    signal?.throwIfAborted();
    if (this.#session === undefined) throw new Error('the session was released');
    const given = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)]));
    const results = await this.#session.run(given, outputs ?? this.outputNames).catch((error: unknown) => {
      throw new UserError(`onnxruntime: ${firstLine(error)}`);
    });
    return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromOrt(value as ort.Tensor)]));
  }

  async release(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.release();
  }
}

function toOrt({ type, dims, data }: DenseTensor): ort.Tensor {
  if (type === 'bool') return new ort.Tensor('bool', data as Uint8Array, dims);
  return new ort.Tensor(type as ort.Tensor.Type, data as ort.Tensor.DataType, dims);
}

function fromOrt(tensor: ort.Tensor): DenseTensor {
  if (!('type' in tensor) || !('dims' in tensor)) throw new UserError('the model has an output that is not a tensor');
  return { type: tensor.type as DataType, dims: tensor.dims, data: tensor.data as TensorData };
}

/** onnxruntime's messages run over several lines and name places in its own sources; the first sentence is the useful one. */
function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message
    .split('\n')[0]!
    .replace(/^\s*Error:\s*/, '')
    .replaceAll(/\S+\.(?:cc|h|cpp|cu):\d+ (?:[\w:~<>&*]+ )*(?:\[[^\]]*\] )?/g, '')
    .trim();
}
