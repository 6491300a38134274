import { UserError } from '../onnx/index.ts';
import { openRemoteSession } from './remote.ts';
import type { Response } from './remote.ts';
import type { Session } from './session.ts';
import type { WebSessionOptions } from './web-session.ts';

/** Starts the Worker script of this package (`onnxray/browser/worker`). */
export type WorkerFactory = () => Worker;

/** In a form that Vite, webpack and Rollup's plugins for Workers find and bundle. */
export const startWorker: WorkerFactory = () =>
  new Worker(new URL('./web-worker.js', import.meta.url), { type: 'module' });

/**
 * Loads a model into a Worker of its own: `run` leaves the page free, aborting it ends the Worker at once, after which the
 * session is closed, and releasing it gives the memory back, which WASM itself never does.
 */
export function openWorkerSession(
  bytes: Uint8Array,
  options: WebSessionOptions = {},
  start: WorkerFactory = startWorker,
): Promise<Session> {
  return openRemoteSession<WebSessionOptions>(
    (on) => {
      const worker = start();
      worker.addEventListener('message', ({ data }: MessageEvent<Response>) => on.message(data));
      worker.addEventListener('error', (event) => {
        event.preventDefault();
        const reason = event.message || 'its script could not be loaded';
        on.ended(new UserError(`the Worker that runs the model ended: ${reason}`));
      });
      return {
        send: (request) => worker.postMessage(request, []),
        end: () => Promise.resolve(worker.terminate()),
      };
    },
    bytes,
    options,
  );
}
