/** The part of attribution/ that runs anywhere. */
export { attribute } from './attribute.ts';
export type { Attributed } from './attribute.ts';
export type { AttributeRequest, BuiltTarget, WeightedTarget } from './request.ts';
export { ExplainableModel } from './explain.ts';
export { BASELINES, findBaseline } from './baselines.ts';
export type { Baseline } from './baselines.ts';
export type { ExplainOptions, Explained } from './explain.ts';
export { tokenText } from './subject.ts';
export type { Encoded, Subject } from './subject.ts';
export { ALL_METHODS, METHODS, findMethod } from './methods/index.ts';
