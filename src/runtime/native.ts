import { availableParallelism, totalmem } from 'node:os';
// oxlint-disable-next-line import/no-unassigned-import -- before the library is loaded
import './no-telemetry.ts';
import { UserError } from '../onnx/index.ts';
import { ortSession } from './ort-session.ts';
import { firstLine } from './ort-tensor.ts';
import { whyNot } from './probe.ts';
import { PROVIDER_NAMES } from './session.ts';
import type { Provider, Session, SessionOptions } from './session.ts';

export function defaultThreads(): number {
  return availableParallelism();
}

/** Bytes of memory this process may take: the machine's, or what its container allows. */
export function machineMemory(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Infinity);
}

/** What `whyNot` found, asked once in a process: drivers do not come and go. */
const probed = new Map<Provider, Promise<string | undefined>>();

/**
 * Loads a model into this process. Its `run` blocks the event loop while it computes.
 * A provider that does not work here, or not for this model, is replaced by the CPU, and the session's `fallback` says so:
 * onnxruntime itself refuses the model, whatever else is in its list of providers.
 */
export async function openSession(bytes: Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const { provider = 'cpu' } = options;
  if (provider === 'cpu') return open(bytes, options, provider);
  const found = probed.get(provider) ?? whyNot(provider);
  probed.set(provider, found);
  const reason = await found;
  if (reason !== undefined) return open(bytes, options, 'cpu', `${reason}: the model runs on the CPU instead`);
  return open(bytes, options, provider).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    return open(
      bytes,
      options,
      'cpu',
      `${PROVIDER_NAMES[provider]} does not take this model, which runs on the CPU instead: ${why}`,
    );
  });
}

async function open(
  bytes: Uint8Array,
  { threads = defaultThreads(), optimization = 'all', weightsFolder }: SessionOptions,
  provider: Provider,
  fallback?: string,
): Promise<Session> {
  // Here, not above: reading and differentiating a model takes no onnxruntime.
  const ort = await import('onnxruntime-node');
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: optimization,
    // A plan of one block per input shape, kept beside what the first run used: it cost 1.7 times the memory here, for no time.
    enableMemPattern: false,
    // What goes wrong is thrown; onnxruntime need not print it as well.
    logSeverityLevel: 4,
    extra: {
      session: {
        // Threads wait for work in a loop while the model runs, and not for milliseconds after it: programs of one explanation
        // take turns, and the loops of those that are done took the processor from the one that ran.
        force_spinning_stop: '1',
        ...(weightsFolder === undefined ? {} : { model_external_initializers_file_folder_path: weightsFolder }),
      },
    },
  }).catch((error: unknown) => {
    throw new UserError(`onnxruntime cannot load the model: ${firstLine(error)}`);
  });
  return ortSession(session, ort.Tensor, provider, fallback);
}
