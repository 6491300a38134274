/**
 * runtime/: models that run.
 *
 * A `Session` is a loaded model, in this process or in a child. A `ModelHost` is a model file with the programs that
 * passes compiled from it, cached by what they were compiled for.
 */
export type { Provider, RunOptions, Session, SessionOptions } from './session.ts';
export { PROVIDERS } from './session.ts';
export { defaultThreads, openSession } from './native.ts';
export { openIsolatedSession } from './isolated.ts';
export { VERSIONS } from './versions.ts';
export { checkExternalFiles, readSmallWeights } from './external.ts';
export { ModelHost } from './host.ts';
export type { HostOptions } from './host.ts';
export { DEFAULT_MEMORY_BUDGET, activationBytes } from './batching.ts';
