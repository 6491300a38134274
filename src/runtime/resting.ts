import type { NamedTensors } from '../onnx/index.ts';
import type { Provider, RunOptions, Session } from './session.ts';

/**
 * A session that can be put to rest, giving its memory back, and is loaded again by the next run: so that of a model
 * of several GB only one is in memory at a time, where loading takes less than a run.
 */
export class RestingSession implements Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly provider: Provider;
  readonly fallback?: string;
  readonly #open: () => Promise<Session>;
  #session: Promise<Session> | undefined;
  /** Whether the session that is loaded can run no more. */
  #isClosed: () => boolean;
  #released = false;
  readonly #running = new Set<Promise<unknown>>();

  private constructor(open: () => Promise<Session>, first: Session) {
    this.#open = open;
    this.#session = Promise.resolve(first);
    this.#isClosed = () => first.closed;
    this.inputNames = first.inputNames;
    this.outputNames = first.outputNames;
    this.provider = first.provider;
    if (first.fallback !== undefined) this.fallback = first.fallback;
  }

  static async open(open: () => Promise<Session>): Promise<RestingSession> {
    return new RestingSession(open, await open());
  }

  get closed(): boolean {
    return this.#released || this.#isClosed();
  }

  async run(feeds: NamedTensors, options?: RunOptions): Promise<NamedTensors> {
    if (this.#released) throw new Error('the session was released');
    this.#session ??= this.#wake();
    const run = this.#session.then((session) => session.run(feeds, options));
    this.#running.add(run);
    try {
      return await run;
    } finally {
      this.#running.delete(run);
    }
  }

  /** Gives the memory back until the next run, once what runs has ended. */
  async rest(): Promise<void> {
    await Promise.allSettled(this.#running);
    const session = this.#session;
    this.#session = undefined;
    if (this.closed) return;
    this.#isClosed = () => false;
    await session?.then((open) => open.release());
  }

  async release(): Promise<void> {
    this.#released = true;
    const session = this.#session;
    this.#session = undefined;
    await session?.then(
      (open) => open.release(),
      () => undefined,
    );
  }

  async #wake(): Promise<Session> {
    const session = await this.#open();
    this.#isClosed = () => session.closed;
    return session;
  }
}
