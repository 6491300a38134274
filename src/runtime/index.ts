/**
 * runtime/: models that run.
 */
export type { Provider, RunOptions, Session, SessionOptions } from './session.ts';
export { PROVIDERS } from './session.ts';
export { defaultThreads, openSession } from './native.ts';
