/**
 * runtime/: models that run.
 *
 * A `Session` is a loaded model, in this process or in a child. A `ModelHost` is a model file with the programs that
 * passes compiled from it, cached by what they were compiled for. This is the door in Node; `browser.ts` is the one in a
 * browser, and `core.ts` has what both have.
 */
export * from './core.ts';
export { defaultThreads, machineMemory, openSession } from './native.ts';
export { openIsolatedSession } from './isolated.ts';
export { VERSIONS } from './versions.ts';
export { makeFolder } from './make-folder.ts';
export { checkExternalFiles, readSmallWeights } from './external.ts';
export { FileModelHost as ModelHost } from './file-host.ts';
export type { HostOptions } from './file-host.ts';
