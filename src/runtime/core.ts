/** The part of runtime/ that runs anywhere: what a session and a host are, not where they run. */
export type { Provider, RunOptions, Session, SessionOptions } from './session.ts';
export { PROVIDERS, PROVIDER_NAMES, RunError, WEB_PROVIDERS } from './session.ts';
export { ModelHost } from './host.ts';
export type { HostSettings, ModelSource, Platform, ProgramStore } from './host.ts';
export { LoadedSessions } from './loaded.ts';
export type { LoadedLimits } from './loaded.ts';
export { DEFAULT_MEMORY_BUDGET, activationBytes, rowsTogether } from './batching.ts';
