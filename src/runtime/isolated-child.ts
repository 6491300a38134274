/** The child's side of isolated.ts: one model, asked over the process's message channel. */
import { UserError } from '../onnx/index.ts';
import type { Request, Response } from './isolated.ts';
import { openSession } from './native.ts';
import type { Session } from './session.ts';

let session: Session | undefined;

async function answer(request: Request): Promise<unknown> {
  if (request.kind === 'open') {
    session = await openSession(request.bytes, request.options);
    return { inputs: [...session.inputNames], outputs: [...session.outputNames] };
  }
  return session!.run(request.feeds, request.outputs === undefined ? {} : { outputs: request.outputs });
}

process.on('message', (request: Request) => {
  answer(request).then(
    (result) => process.send!({ id: request.id, ok: true, result } satisfies Response),
    (error: Error) =>
      process.send!({
        id: request.id,
        ok: false,
        message: error.message,
        forPeople: error instanceof UserError,
      } satisfies Response),
  );
});
// The parent is gone: nobody waits for an answer any more.
process.on('disconnect', () => process.exit());
