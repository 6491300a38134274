/** The child's side of isolated.ts: one model, asked over the process's message channel. */
import { openSession } from './native.ts';
import { answerer } from './remote.ts';
import type { Request } from './remote.ts';
import type { SessionOptions } from './session.ts';

const answer = answerer(openSession);

process.on('message', (request: Request<SessionOptions>) => {
  void answer(request).then((response) => process.send!(response));
});
// The parent is gone: nobody waits for an answer any more.
process.on('disconnect', () => process.exit());
