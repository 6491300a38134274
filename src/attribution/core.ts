/** The part of attribution/ that runs anywhere. */
export { attribute } from './attribute.ts';
export type { AttributeRequest, Attributed } from './attribute.ts';
export { ExplainableModel } from './explain.ts';
export type { Baseline, Encoded, ExplainOptions, Explained, Subject } from './explain.ts';
export { METHODS, findMethod } from './methods/index.ts';
