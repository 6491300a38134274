/** Sets of rules by name: the gradient's table with entries replaced, as plain data that a program can be cached by. */
import type { Model, ValueName } from '../../onnx/index.ts';
import type { RuleTable } from '../rule.ts';
import { GRADIENT_RULES } from '../rules/index.ts';
import { attnLrpRules } from './attnlrp.ts';
import { BLOCKED_RULES, inBlockedForm } from './blocked.ts';
import { deepLiftRules } from './deeplift.ts';
import { DECONVNET_RULES, GUIDED_RULES } from './guided.ts';
import type { LrpPlan } from './lrp.ts';
import { lrpRules } from './lrp.ts';
import { mergeBatchNorm } from './merge-batch-norm.ts';
import { rectifyPooled } from './rectify-pooled.ts';
import { fuseProducts } from './products.ts';
import { scaleFeedForward } from './feed-forward.ts';
import type { Scene } from './scene.ts';

export type RuleSetSpec =
  | { readonly set: 'gradient' | 'blocked' | 'guided' | 'deconvnet' | 'attn-lrp' | 'cp-lrp' }
  | { readonly set: 'deep-lift'; readonly revealCancel: boolean }
  | ({ readonly set: 'lrp' } & LrpPlan);

/** The rules of a set for the graph at hand, which some of them look at. */
export function ruleTable(spec: RuleSetSpec, scene: Scene): RuleTable {
  switch (spec.set) {
    case 'gradient':
      return GRADIENT_RULES;
    case 'blocked':
      return BLOCKED_RULES;
    case 'guided':
      return GUIDED_RULES;
    case 'deconvnet':
      return DECONVNET_RULES;
    case 'lrp':
      return lrpRules(scene, spec);
    case 'attn-lrp':
      return attnLrpRules(scene, { constantAttention: false });
    case 'cp-lrp':
      return attnLrpRules(scene, { constantAttention: true });
    case 'deep-lift':
      return deepLiftRules(scene, spec);
  }
}

/**
 * The model in the form a set of rules expects; `kept` names values that must stay, `wrt` those that gradients may be taken in,
 * none where no backward pass follows. Default: `kept`.
 */
export function prepareFor(
  spec: RuleSetSpec,
  model: Model,
  kept: readonly ValueName[],
  wrt: readonly ValueName[] = kept,
): Model {
  if (spec.set === 'blocked')
    return fuseProducts(scaleFeedForward(inBlockedForm(rectifyPooled(model, kept), kept), kept, wrt), kept);
  const merges = spec.set === 'lrp' || (spec.set === 'deep-lift' && spec.revealCancel);
  return merges ? mergeBatchNorm(model, kept) : model;
}

/** Whether the pass carries relevance, which starts as the answer, instead of gradients or multipliers. */
export function carriesRelevance(spec: RuleSetSpec): boolean {
  return spec.set === 'lrp';
}
