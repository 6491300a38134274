/** A session in another process or a Worker, asked by messages: what isolated.ts (Node) and web-session.ts share. */
import { UserError } from '../onnx/index.ts';
import type { NamedTensors } from '../onnx/index.ts';
import { RunError } from './session.ts';
import type { Provider, RunOptions, Session } from './session.ts';

/** What is asked of the other side; `options` are its own. */
export type Request<Options> =
  | { readonly id: number; readonly kind: 'open'; readonly bytes: Uint8Array; readonly options: Options }
  | {
      readonly id: number;
      readonly kind: 'run';
      readonly feeds: NamedTensors;
      readonly outputs: readonly string[] | undefined;
    };
export type Response =
  | { readonly id: number; readonly ok: true; readonly result: NamedTensors | Opened }
  | { readonly id: number; readonly ok: false; readonly message: string; readonly kind: 'run' | 'user' | 'defect' };

/** What the other side says of a session it opened. */
export interface Opened {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly provider: Provider;
  readonly fallback?: string;
}

/** The other side, as a session here sees it. */
export interface Peer<Options> {
  send(request: Request<Options>): void;
  /** Ends it at once, whatever it is doing. Resolves when it is gone. */
  end(): Promise<void>;
}

/** Starts the other side; it says `message` for each answer and `ended` when it can give no more. */
export type Connect<Options> = (on: {
  readonly message: (response: Response) => void;
  readonly ended: (reason: Error) => void;
}) => Peer<Options>;

/** Loads a model on the other side. An aborted run ends that side at once, and the session with it. */
export async function openRemoteSession<Options>(
  connect: Connect<Options>,
  bytes: Uint8Array,
  options: Options,
): Promise<Session> {
  const session = new RemoteSession(connect);
  try {
    await session.open(bytes, options);
  } catch (error) {
    await session.release();
    throw error;
  }
  return session;
}

/** The other side's part: answers requests with the session it opens for the first of them. */
export function answerer<Options>(
  open: (bytes: Uint8Array, options: Options) => Promise<Session>,
): (request: Request<Options>) => Promise<Response> {
  let session: Session | undefined;
  const answer = async (request: Request<Options>): Promise<NamedTensors | Opened> => {
    if (request.kind === 'run')
      return session!.run(request.feeds, request.outputs === undefined ? {} : { outputs: request.outputs });
    session = await open(request.bytes, request.options);
    const { provider, fallback } = session;
    return {
      inputNames: [...session.inputNames],
      outputNames: [...session.outputNames],
      provider,
      ...(fallback === undefined ? {} : { fallback }),
    };
  };
  return (request) =>
    answer(request).then(
      (result) => ({ id: request.id, ok: true, result }),
      (error: unknown) => ({
        id: request.id,
        ok: false,
        message: error instanceof Error ? error.message : String(error),
        kind: error instanceof RunError ? 'run' : error instanceof UserError ? 'user' : 'defect',
      }),
    );
}

const ERRORS = { run: RunError, user: UserError, defect: Error } as const;

class RemoteSession<Options> implements Session {
  #opened: Opened | undefined;
  readonly #peer: Peer<Options>;
  readonly #waiting = new Map<
    number,
    { resolve: (value: NamedTensors | Opened) => void; reject: (reason: unknown) => void }
  >();
  #nextId = 0;
  #ended: Error | undefined;

  constructor(connect: Connect<Options>) {
    this.#peer = connect({ message: (response) => this.#settle(response), ended: (reason) => this.#end(reason) });
  }

  get inputNames(): readonly string[] {
    return this.#opened!.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.#opened!.outputNames;
  }

  get provider(): Provider {
    return this.#opened!.provider;
  }

  get fallback(): string | undefined {
    return this.#opened!.fallback;
  }

  get closed(): boolean {
    return this.#ended !== undefined;
  }

  async open(bytes: Uint8Array, options: Options): Promise<void> {
    this.#opened = (await this.#ask({ id: this.#nextId++, kind: 'open', bytes, options })) as Opened;
  }

  async run(feeds: NamedTensors, { outputs, signal }: RunOptions = {}): Promise<NamedTensors> {
    signal?.throwIfAborted();
    const id = this.#nextId++;
    const abort = () => {
      this.#waiting.get(id)?.reject(signal!.reason);
      this.#waiting.delete(id);
      this.#end(new Error('the session was closed by an aborted run'));
      void this.#peer.end();
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return (await this.#ask({ id, kind: 'run', feeds, outputs })) as NamedTensors;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  async release(): Promise<void> {
    this.#end(new Error('the session was released'));
    await this.#peer.end();
  }

  #ask(request: Request<Options>): Promise<NamedTensors | Opened> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      try {
        this.#peer.send(request);
      } catch (error) {
        this.#waiting.delete(request.id);
        reject(error);
      }
    });
  }

  #settle(response: Response): void {
    const waiting = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    if (response.ok) waiting?.resolve(response.result);
    else waiting?.reject(new ERRORS[response.kind](response.message));
  }

  #end(reason: Error): void {
    this.#ended ??= reason;
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}
