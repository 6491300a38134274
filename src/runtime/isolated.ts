import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { UserError } from '../onnx/index.ts';
import { openRemoteSession } from './remote.ts';
import type { Connect, Response } from './remote.ts';
import type { Session, SessionOptions } from './session.ts';

/**
 * Loads a model into a child process: `run` leaves this process's event loop free, and aborting it ends the child at
 * once, after which the session is closed. Releasing it gives all its memory back to the system.
 */
export function openIsolatedSession(bytes: Uint8Array, options: SessionOptions = {}): Promise<Session> {
  return openRemoteSession(connectChild, bytes, options);
}

const connectChild: Connect<SessionOptions> = (on) => {
  const script = fileURLToPath(
    new URL(
      import.meta.url.endsWith('.ts') ? '../../dist/runtime/isolated-child.js' : './isolated-child.js',
      import.meta.url,
    ),
  );
  const child = fork(script, { serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  child.on('message', (response) => on.message(response as Response));
  child.on('exit', (code, signal) =>
    on.ended(
      new UserError(
        `the process that runs the model ended (${signal ?? `code ${code}`})${signal === 'SIGKILL' ? ': perhaps there was not enough memory' : ''}`,
      ),
    ),
  );
  child.on('error', on.ended);
  return {
    send: (request) =>
      void child.send(request, (error) => {
        if (error) on.ended(error);
      }),
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGKILL');
      await ended;
    },
  };
};
