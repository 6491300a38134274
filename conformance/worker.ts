/** Runs cases one by one in a process of its own: a kernel that crashes takes only this process down. */
import { checkCase } from './check-case.ts';
import { openCorpus } from './corpus.ts';
import { messageOf } from './result.ts';

const corpus = openCorpus();
process.on('message', (name: string) => {
  checkCase(corpus, name).then(
    (result) => process.send!({ result }),
    (error: unknown) =>
      process.send!({ name, error: messageOf(error), stack: error instanceof Error ? error.stack : '' }),
  );
});
process.on('disconnect', () => process.exit());
