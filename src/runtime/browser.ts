/** runtime/ in a browser: onnxruntime-web, each model in a Worker of its own. */
export * from './core.ts';
export { defaultWebThreads, openWebSession } from './web-session.ts';
export type { WebSessionOptions, WeightsFile } from './web-session.ts';
export { openWorkerSession, startWorker } from './worker-session.ts';
export type { WorkerFactory } from './worker-session.ts';
export { WEB_VERSIONS } from './web-versions.ts';
export { WebModelHost as ModelHost } from './web-host.ts';
export type { WebHostOptions } from './web-host.ts';
