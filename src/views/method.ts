import type { Explanation } from '../explanation/index.ts';
import type { ScaleKind } from './scale.ts';

/** What one score is measured in. */
export type Unit = 'contribution' | 'sensitivity' | 'score';

export interface MethodFacts {
  readonly kind: ScaleKind;
  readonly unit: Unit;
  /** Its sentence in `messages.ts`, when there is one. */
  readonly name: KnownMethod | undefined;
}

export type KnownMethod =
  | 'saliency'
  | 'input-x-gradient'
  | 'integrated-gradients'
  | 'guided-backprop'
  | 'deconvnet'
  | 'deep-lift'
  | 'deep-lift-reveal-cancel'
  | 'deep-lift-shap'
  | 'lrp-0'
  | 'lrp-epsilon'
  | 'lrp-gamma'
  | 'lrp-alpha1-beta0'
  | 'lrp-alpha2-beta1'
  | 'lrp-z-plus'
  | 'lrp-w-square'
  | 'lrp-flat'
  | 'lrp-zb'
  | 'lrp-epsilon-plus'
  | 'lrp-epsilon-gamma-box'
  | 'lrp-epsilon-plus-flat'
  | 'lrp-epsilon-alpha2-beta1'
  | 'lrp-epsilon-alpha2-beta1-flat'
  | 'attn-lrp'
  | 'first-derivative-saliency'
  | 'variance-saliency'
  | 'composition'
  | 'cp-lrp'
  | 'smooth-grad'
  | 'smooth-grad-squared'
  | 'var-grad'
  | 'expected-gradients'
  | 'idgi'
  | 'internal-influence'
  | 'layer-conductance'
  | 'neuron-conductance'
  | 'occlusion'
  | 'feature-ablation'
  | 'leave-one-out'
  | 'feature-permutation'
  | 'shapley-sampling'
  | 'exact-shapley'
  | 'lime'
  | 'kernel-shap'
  | 'permutation-shap'
  | 'partition-shap'
  | 'blur-ig'
  | 'guided-ig'
  | 'integrated-hessians'
  | 'rise'
  | 'meaningful-perturbation'
  | 'discretized-ig'
  | 'cam'
  | 'grad-cam'
  | 'grad-cam-plus-plus'
  | 'xgrad-cam'
  | 'layer-cam'
  | 'hires-cam'
  | 'score-cam'
  | 'ablation-cam'
  | 'eigen-cam'
  | 'eigen-grad-cam'
  | 'kpca-cam'
  | 'full-grad'
  | 'guided-grad-cam'
  | 'finer-cam'
  | 'shapley-cam'
  | 'seg-xres-cam'
  | 'd-rise'
  | 'rollout'
  | 'chefer'
  | 'legrad';

const KNOWN: Readonly<Record<KnownMethod, Omit<MethodFacts, 'name'>>> = {
  saliency: { kind: 'sequential', unit: 'sensitivity' },
  'input-x-gradient': { kind: 'diverging', unit: 'contribution' },
  'integrated-gradients': { kind: 'diverging', unit: 'contribution' },
  'guided-backprop': { kind: 'diverging', unit: 'score' },
  deconvnet: { kind: 'diverging', unit: 'score' },
  'deep-lift': { kind: 'diverging', unit: 'contribution' },
  'deep-lift-reveal-cancel': { kind: 'diverging', unit: 'contribution' },
  'deep-lift-shap': { kind: 'diverging', unit: 'contribution' },
  'lrp-0': { kind: 'diverging', unit: 'contribution' },
  'lrp-epsilon': { kind: 'diverging', unit: 'contribution' },
  'lrp-gamma': { kind: 'diverging', unit: 'contribution' },
  'lrp-alpha1-beta0': { kind: 'diverging', unit: 'contribution' },
  'lrp-alpha2-beta1': { kind: 'diverging', unit: 'contribution' },
  'lrp-z-plus': { kind: 'diverging', unit: 'contribution' },
  'lrp-w-square': { kind: 'diverging', unit: 'contribution' },
  'lrp-flat': { kind: 'diverging', unit: 'contribution' },
  'lrp-zb': { kind: 'diverging', unit: 'contribution' },
  'lrp-epsilon-plus': { kind: 'diverging', unit: 'contribution' },
  'lrp-epsilon-gamma-box': { kind: 'diverging', unit: 'contribution' },
  'lrp-epsilon-plus-flat': { kind: 'diverging', unit: 'contribution' },
  'lrp-epsilon-alpha2-beta1': { kind: 'diverging', unit: 'contribution' },
  'lrp-epsilon-alpha2-beta1-flat': { kind: 'diverging', unit: 'contribution' },
  'attn-lrp': { kind: 'diverging', unit: 'contribution' },
  'cp-lrp': { kind: 'diverging', unit: 'contribution' },
  'smooth-grad': { kind: 'sequential', unit: 'sensitivity' },
  'smooth-grad-squared': { kind: 'sequential', unit: 'score' },
  'var-grad': { kind: 'sequential', unit: 'score' },
  'expected-gradients': { kind: 'diverging', unit: 'contribution' },
  idgi: { kind: 'diverging', unit: 'contribution' },
  'internal-influence': { kind: 'diverging', unit: 'score' },
  'layer-conductance': { kind: 'diverging', unit: 'contribution' },
  'neuron-conductance': { kind: 'diverging', unit: 'contribution' },
  occlusion: { kind: 'diverging', unit: 'score' },
  'feature-ablation': { kind: 'diverging', unit: 'score' },
  'leave-one-out': { kind: 'diverging', unit: 'score' },
  'feature-permutation': { kind: 'diverging', unit: 'score' },
  'shapley-sampling': { kind: 'diverging', unit: 'contribution' },
  'exact-shapley': { kind: 'diverging', unit: 'contribution' },
  lime: { kind: 'diverging', unit: 'score' },
  'kernel-shap': { kind: 'diverging', unit: 'contribution' },
  'permutation-shap': { kind: 'diverging', unit: 'contribution' },
  'partition-shap': { kind: 'diverging', unit: 'contribution' },
  'blur-ig': { kind: 'diverging', unit: 'contribution' },
  'guided-ig': { kind: 'diverging', unit: 'contribution' },
  'integrated-hessians': { kind: 'diverging', unit: 'contribution' },
  rise: { kind: 'diverging', unit: 'score' },
  'first-derivative-saliency': { kind: 'sequential', unit: 'sensitivity' },
  'variance-saliency': { kind: 'sequential', unit: 'score' },
  composition: { kind: 'diverging', unit: 'score' },
  'meaningful-perturbation': { kind: 'sequential', unit: 'score' },
  'discretized-ig': { kind: 'diverging', unit: 'contribution' },
  cam: { kind: 'diverging', unit: 'score' },
  'grad-cam': { kind: 'sequential', unit: 'score' },
  'grad-cam-plus-plus': { kind: 'sequential', unit: 'score' },
  'xgrad-cam': { kind: 'sequential', unit: 'score' },
  'layer-cam': { kind: 'sequential', unit: 'score' },
  'hires-cam': { kind: 'sequential', unit: 'score' },
  'score-cam': { kind: 'sequential', unit: 'score' },
  'ablation-cam': { kind: 'sequential', unit: 'score' },
  'eigen-cam': { kind: 'sequential', unit: 'score' },
  'eigen-grad-cam': { kind: 'sequential', unit: 'score' },
  'kpca-cam': { kind: 'sequential', unit: 'score' },
  'full-grad': { kind: 'sequential', unit: 'score' },
  'guided-grad-cam': { kind: 'diverging', unit: 'score' },
  'finer-cam': { kind: 'sequential', unit: 'score' },
  'shapley-cam': { kind: 'sequential', unit: 'score' },
  'seg-xres-cam': { kind: 'sequential', unit: 'score' },
  'd-rise': { kind: 'sequential', unit: 'score' },
  rollout: { kind: 'sequential', unit: 'score' },
  chefer: { kind: 'sequential', unit: 'score' },
  legrad: { kind: 'sequential', unit: 'score' },
};

/**
 * How to draw a method's scores. A method that is unsigned by its paper is drawn as diverging all the same when one
 * of its scores is negative (`saliency` with signs kept); a method not listed here is taken as signed.
 */
export function methodFacts(explanation: Explanation): MethodFacts {
  const name = isKnown(explanation.method) ? explanation.method : undefined;
  const facts = name === undefined ? ({ kind: 'diverging', unit: 'score' } as const) : KNOWN[name];
  const negative = Object.values(explanation.attributions).some(({ data }) => data.some((score) => score < 0));
  return { kind: negative ? 'diverging' : facts.kind, unit: facts.unit, name };
}

function isKnown(method: string): method is KnownMethod {
  return Object.hasOwn(KNOWN, method);
}
