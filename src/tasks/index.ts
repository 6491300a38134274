/**
 * tasks/: what a model answers: which task it is for, what its classes are called, and what about its output is asked.
 *
 * `core.ts` is pure; this door adds `openModel`, which finds a model and its files on the disk, in Node.
 */
export * from './core.ts';
export { openModel } from './open-folder.ts';
