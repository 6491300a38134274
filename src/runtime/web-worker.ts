/** The script of a Worker that has one model: the other side of worker-session.ts. */
import type { NamedTensors } from '../onnx/index.ts';
import { answerer } from './remote.ts';
import type { Request, Response } from './remote.ts';
import { openWebSession } from './web-session.ts';
import type { WebSessionOptions } from './web-session.ts';

/** What a Worker's own scope has; TypeScript's DOM types are those of a page. */
interface WorkerScope {
  readonly name: string;
  addEventListener(type: 'message', listener: (event: MessageEvent<Request<WebSessionOptions>>) => void): void;
  postMessage(message: Response, transfer: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;

// onnxruntime starts its threads from its own script. Where a bundler put all scripts into one, they start from here.
if (!scope.name.startsWith('em-pthread')) {
  const answer = answerer(openWebSession);
  scope.addEventListener('message', ({ data }) => {
    void answer(data).then((response) => scope.postMessage(response, buffersOf(response)));
  });
}

/** Results are handed over, not copied. */
function buffersOf(response: Response): Transferable[] {
  if (!response.ok || 'inputNames' in response.result) return [];
  const tensors = Object.values(response.result as NamedTensors);
  return [...new Set(tensors.flatMap(({ data }) => (ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : [])))];
}
