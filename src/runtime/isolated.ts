import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { UserError } from '../onnx/index.ts';
import type { NamedTensors } from '../onnx/index.ts';
import type { RunOptions, Session, SessionOptions } from './session.ts';

/** What the parent asks of the child, and what it answers; see isolated-child.ts. */
export type Request =
  | { readonly id: number; readonly kind: 'open'; readonly bytes: Uint8Array; readonly options: SessionOptions }
  | {
      readonly id: number;
      readonly kind: 'run';
      readonly feeds: NamedTensors;
      readonly outputs: readonly string[] | undefined;
    };
export type Response =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string; readonly forPeople: boolean };

/**
 * Loads a model into a child process: `run` leaves this process's event loop free, and aborting it ends the child at
 * once, after which the session is closed. Releasing it gives all its memory back to the system.
 */
export async function openIsolatedSession(bytes: Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const session = new IsolatedSession();
  try {
    await session.open(bytes, options);
  } catch (error) {
    await session.release();
    throw error;
  }
  return session;
}

class IsolatedSession implements Session {
  inputNames: readonly string[] = [];
  outputNames: readonly string[] = [];
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (reason: unknown) => void }>();
  #nextId = 0;
  #ended: Error | undefined;

  constructor() {
    const script = fileURLToPath(
      new URL(
        import.meta.url.endsWith('.ts') ? '../../dist/runtime/isolated-child.js' : './isolated-child.js',
        import.meta.url,
      ),
    );
    this.#child = fork(script, { serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child.on('message', (response) => this.#settle(response as Response));
    this.#child.on('exit', (code, signal) =>
      this.#end(
        new UserError(
          `the process that runs the model ended (${signal ?? `code ${code}`})${signal === 'SIGKILL' ? ': perhaps there was not enough memory' : ''}`,
        ),
      ),
    );
    this.#child.on('error', (error) => this.#end(error));
  }

  get closed(): boolean {
    return this.#ended !== undefined;
  }

  async open(bytes: Uint8Array, options: SessionOptions): Promise<void> {
    const names = (await this.#ask({ id: this.#nextId++, kind: 'open', bytes, options })) as {
      inputs: string[];
      outputs: string[];
    };
    this.inputNames = names.inputs;
    this.outputNames = names.outputs;
  }

  async run(feeds: NamedTensors, { outputs, signal }: RunOptions = {}): Promise<NamedTensors> {
    signal?.throwIfAborted();
    const id = this.#nextId++;
    const abort = () => {
      this.#waiting.get(id)?.reject(signal!.reason);
      this.#waiting.delete(id);
      this.#end(new Error('the session was closed by an aborted run'));
      this.#child.kill('SIGKILL');
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return (await this.#ask({ id, kind: 'run', feeds, outputs })) as NamedTensors;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  async release(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    this.#end(new Error('the session was released'));
    this.#child.kill('SIGKILL');
    await ended;
  }

  #ask(request: Request): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      this.#child.send(request, (error) => {
        if (error) this.#end(error);
      });
    });
  }

  #settle(response: Response): void {
    const waiting = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    if (response.ok) waiting?.resolve(response.result);
    else waiting?.reject(response.forPeople ? new UserError(response.message) : new Error(response.message));
  }

  #end(reason: Error): void {
    this.#ended ??= reason;
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}
