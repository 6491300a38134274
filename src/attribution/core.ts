/** The part of attribution/ that runs anywhere. */
export { attribute } from './attribute.ts';
export type { Attributed } from './attribute.ts';
export type { AttributeRequest, BuiltTarget, WeightedTarget } from './request.ts';
export { ExplainableModel } from './explain.ts';
export { BASELINES } from './baselines.ts';
export type { Baseline, Encoded, ExplainOptions, Explained, Subject } from './explain.ts';
export { ALL_METHODS, METHODS, findMethod } from './methods/index.ts';
