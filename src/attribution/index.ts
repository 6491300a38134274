/**
 * attribution/: which parts of an input made the answer.
 *
 * `attribute` runs one method (methods/, one small module each) on one input. Methods are built on the compiled programs
 * of programs/: rows, batching, the backward pass and the reduction to scores shaped like the input all happen inside
 * one graph. `core.ts` runs anywhere; this door opens models from files, in Node, and `browser.ts` from bytes.
 */
export * from './core.ts';
export { ExplainableFile as ExplainableModel } from './explain-files.ts';
