/**
 * inspection/: what a model is, before any input: what `onnxray inspect` prints and the studio's Models room draws.
 */
export { inspectModel } from './inspect.ts';
export type { DimsReport, Inspection, ValueReport } from './inspect.ts';
export { drawableGraph } from './drawable.ts';
export type { DrawableGraph, DrawableNode } from './drawable.ts';
