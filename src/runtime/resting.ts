import type { NamedTensors } from '../onnx/index.ts';
import type { LoadedSessions } from './loaded.ts';
import type { Provider, RunOptions, Session } from './session.ts';

/** Where a session is counted while it is loaded, and the bytes it is counted with. */
export interface Counted {
  readonly loaded: LoadedSessions;
  readonly bytes: number;
}

/**
 * A session that several callers share, and that can be put to rest: it then gives its memory back, and the next run loads
 * it again. Runs, rests and loading take turns, in the order they were asked for. An aborted run ends the process that it
 * runs in, and nobody else's: the next run loads the session anew. One that was aborted while it waited ends nothing.
 */
export class RestingSession implements Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly #open: () => Promise<Session>;
  readonly #counted: Counted | undefined;
  #session: Session | undefined;
  #provider: Provider;
  #fallback: string | undefined;
  #released = false;
  /** Turns taken or waited for, and the end of the last of them. */
  #turns = 0;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(open: () => Promise<Session>, first: Session, counted: Counted | undefined) {
    this.#open = open;
    this.#counted = counted;
    this.#session = first;
    this.#provider = first.provider;
    this.#fallback = first.fallback;
    this.inputNames = first.inputNames;
    this.outputNames = first.outputNames;
  }

  /** Loads a session; `counted`: where it makes room for itself first. */
  static async open(open: () => Promise<Session>, counted?: Counted): Promise<RestingSession> {
    // Room is made before there is a session to count: something stands in for it, which is busy until then.
    const loading = { busy: true, closed: false, rest: () => Promise.resolve() };
    await counted?.loaded.add(loading, counted.bytes);
    try {
      const session = new RestingSession(open, await open(), counted);
      counted?.loaded.remove(loading);
      await counted?.loaded.add(session, counted.bytes);
      return session;
    } catch (error) {
      counted?.loaded.remove(loading);
      throw error;
    }
  }

  get provider(): Provider {
    return this.#session?.provider ?? this.#provider;
  }

  get fallback(): string | undefined {
    return this.#session?.fallback ?? this.#fallback;
  }

  get closed(): boolean {
    return this.#released || this.#session?.closed === true;
  }

  get busy(): boolean {
    return this.#turns > 0;
  }

  async run(feeds: NamedTensors, options: RunOptions = {}): Promise<NamedTensors> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#released) throw new Error('the session was released');
    const run = this.#inTurn(async () => {
      signal?.throwIfAborted();
      const session = await this.#awake();
      this.#counted?.loaded.use(this);
      return session.run(feeds, options);
    });
    return signal === undefined ? run : unlessAborted(run, signal);
  }

  /** Loads it now, where it rests or its process ended. */
  async wake(): Promise<void> {
    await this.#inTurn(() => this.#awake());
  }

  /** Gives the memory back until the next run, once all runs asked for before have ended. */
  rest(): Promise<void> {
    return this.#inTurn(async () => {
      const session = this.#session;
      if (session === undefined) return;
      this.#forget(session);
      await session.release();
    });
  }

  /** For good, and at once: what runs is ended where it can be. */
  async release(): Promise<void> {
    this.#released = true;
    const session = this.#session;
    if (session !== undefined) {
      this.#forget(session);
      await session.release();
    }
    // What is being loaded is released in its turn.
    await this.#last;
  }

  #forget(session: Session): void {
    [this.#provider, this.#fallback] = [session.provider, session.fallback];
    this.#session = undefined;
    this.#counted?.loaded.remove(this);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#turns++;
    const turn = this.#last.then(work).finally(() => this.#turns--);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #awake(): Promise<Session> {
    if (this.#released) throw new Error('the session was released');
    if (this.#session?.closed === false) return this.#session;
    this.#session = undefined;
    await this.#counted?.loaded.add(this, this.#counted.bytes);
    let session: Session;
    try {
      session = await this.#open();
    } catch (error) {
      this.#counted?.loaded.remove(this);
      throw error;
    }
    this.#session = session;
    // Another may have released it meanwhile.
    if (!this.closed) return session;
    this.#forget(session);
    await session.release();
    throw new Error('the session was released');
  }
}

/** A promise, or the reason of a signal as soon as that is aborted. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort!);
  }
}
