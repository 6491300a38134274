import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-common';
import type { NamedTensors } from '../onnx/index.ts';
import { firstLine, fromOrt, toOrt } from './ort-tensor.ts';
import { RunError } from './session.ts';
import type { Provider, RunOptions, Session } from './session.ts';

/**
 * A session of any of onnxruntime's libraries, in this thread. `create` is that library's Tensor class.
 * @param fallback why it is not the provider that was asked for.
 */
export function ortSession(
  session: InferenceSession,
  create: TensorConstructor,
  provider: Provider,
  fallback?: string,
): Session {
  return new OrtSession(session, create, provider, fallback);
}

class OrtSession implements Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly provider: Provider;
  readonly fallback: string | undefined;
  readonly #create: TensorConstructor;
  #session: InferenceSession | undefined;
  readonly #running = new Set<Promise<unknown>>();

  constructor(session: InferenceSession, create: TensorConstructor, provider: Provider, fallback: string | undefined) {
    this.#session = session;
    this.#create = create;
    this.provider = provider;
    this.fallback = fallback;
    this.inputNames = session.inputNames;
    this.outputNames = session.outputNames;
  }

  get closed(): boolean {
    return this.#session === undefined;
  }

  async run(feeds: NamedTensors, { outputs, signal }: RunOptions = {}): Promise<NamedTensors> {
    signal?.throwIfAborted();
    if (this.#session === undefined) throw new Error('the session was released');
    const given = Object.fromEntries(
      Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor, this.#create)]),
    );
    const run = this.#session.run(given, outputs ?? this.outputNames).catch((error: unknown) => {
      throw new RunError(`onnxruntime: ${firstLine(error)}`);
    });
    this.#running.add(run);
    const results = await run.finally(() => this.#running.delete(run));
    return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromOrt(value as Tensor)]));
  }

  async release(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    // It cannot be taken from under a run.
    await Promise.allSettled(this.#running);
    await session?.release();
  }
}
