/**
 * autodiff/: gradients as graph rewriting.
 *
 * `differentiate` appends the reverse pass to a model: for each node on the way from `of` back to `wrt` the rule of its
 * operator (rules/, one file per family) appends the nodes of its gradient. Rules emit only operators that have rules,
 * so a differentiated model can be differentiated again. Other rule sets for the same operators go in as a value.
 */
export { appendGradients, differentiate, differentiatedNode, MissingRulesError } from './differentiate.ts';
export type { DifferentiateOptions, Differentiated, GradientRequest } from './differentiate.ts';
export type { Pullback, Rule, RuleEntry, RuleTable } from './rule.ts';
export { PIECEWISE_CONSTANT, ruleKey } from './rule.ts';
export { GRADIENT_RULES } from './rules/index.ts';
export { BLOCKED_RULES } from './rulesets/blocked.ts';
export { gradientCoverage, nameUnknownOperators } from './coverage.ts';
export type { Coverage } from './coverage.ts';
export { unbroadcast } from './broadcasting.ts';
export { carriesRelevance, prepareFor, ruleTable } from './rulesets/index.ts';
export type { RuleSetSpec } from './rulesets/index.ts';
export type { LrpPlan } from './rulesets/lrp.ts';
export type { LrpRule } from './rulesets/lrp-affine.ts';
export type { Scene } from './rulesets/scene.ts';
