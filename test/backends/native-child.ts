/** Runs programs on onnxruntime-node's WebGPU provider, as they come over the process's channel. */
import path from 'node:path';
import { openSession } from '../../src/runtime/index.ts';
import type { WireOutcome, WireProgram } from './wire.ts';
import { packOutcome, unpackProgram } from './wire.ts';

const root = path.resolve(import.meta.dirname, '../..');
let last = Promise.resolve();

process.on('message', (program: WireProgram) => {
  last = last.then(async () => {
    process.send!(await outcomeOf(program));
  });
});
process.on('disconnect', () => process.exit());

async function outcomeOf(program: WireProgram): Promise<WireOutcome> {
  const { model, feeds, weights } = unpackProgram(program);
  const weightsFolder = weights && path.join(root, weights.folder);
  try {
    const session = await openSession(model, {
      provider: 'webgpu',
      threads: 1,
      ...(weightsFolder && { weightsFolder }),
    });
    try {
      return session.fallback ?? packOutcome(await session.run(feeds));
    } finally {
      await session.release();
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
