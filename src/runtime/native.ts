import { availableParallelism } from 'node:os';
// oxlint-disable-next-line import/no-unassigned-import -- before the library is loaded
import './no-telemetry.ts';
import * as ort from 'onnxruntime-node';
import { UserError } from '../onnx/index.ts';
import { ortSession } from './ort-session.ts';
import { firstLine } from './ort-tensor.ts';
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
  return ortSession(session, ort.Tensor, provider);
}
