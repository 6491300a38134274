/**
 * attribution/: which parts of an input made the answer.
 *
 * `attribute` runs one method (methods/, one small module each) on one input. Methods are built on compiled path
 * programs (program.ts): interpolation, batching over steps, the reverse pass and the reduction to scores shaped like
 * the input all happen inside one graph.
 */
export { attribute } from './attribute.ts';
export type { AttributeRequest, Attributed } from './attribute.ts';
export { ExplainableModel } from './explain.ts';
export type { Baseline, ExplainOptions, Explained, Subject } from './explain.ts';
export { findFeatures } from './features.ts';
export type { Feature } from './features.ts';
export { METHODS, findMethod } from './methods/index.ts';
export type { Method } from './method.ts';
export type { OptionSpec, OptionValue } from './options.ts';
export { PROGRAM, compilePath } from './program.ts';
export type { PathRequest } from './program.ts';
export { QUADRATURES, quadrature } from './quadrature.ts';
export type { Quadrature, QuadratureName } from './quadrature.ts';
