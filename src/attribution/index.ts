/**
 * attribution/: which parts of an input made the answer.
 *
 * `attribute` runs one method (methods/, one small module each) on one input. Methods are built on the compiled programs
 * of programs/: rows, batching, the backward pass and the reduction to scores shaped like the input all happen inside
 * one graph.
 */
export { attribute } from './attribute.ts';
export type { AttributeRequest, Attributed } from './attribute.ts';
export { ExplainableModel } from './explain.ts';
export type { Baseline, Encoded, ExplainOptions, Explained, Subject } from './explain.ts';
export { METHODS, findMethod } from './methods/index.ts';
