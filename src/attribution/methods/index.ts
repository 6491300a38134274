/** All attribution methods by their names on the command line. */
import { UsageError } from '../../onnx/index.ts';
import { nearestNames } from '../../tasks/core.ts';
import type { Method } from '../../programs/index.ts';
import { SURROGATES } from '../../surrogates/index.ts';
import { featureAblation, featurePermutation, leaveOneOut } from './ablation.ts';
import { internalInfluence, layerConductance, neuronConductance } from './at-layer.ts';
import { ATTENTION_METHODS } from './attention.ts';
import { attnLrp, cpLrp } from './attn-lrp.ts';
import { CAM_METHODS } from './cam/index.ts';
import { deconvnet } from './deconvnet.ts';
import { deepLift, deepLiftRevealCancel, deepLiftShap } from './deep-lift.ts';
import { discretizedIg } from './discretized-ig.ts';
import { dRise } from './d-rise.ts';
import { expectedGradients } from './expected-gradients.ts';
import { guidedBackprop } from './guided-backprop.ts';
import { idgi } from './idgi.ts';
import { blurIg } from './blur-ig.ts';
import { guidedIg } from './guided-ig.ts';
import { inputXGradient } from './input-x-gradient.ts';
import { integratedHessians } from './integrated-hessians.ts';
import { integratedGradients } from './integrated-gradients.ts';
import { LRP_METHODS } from './lrp.ts';
import { composition, firstDerivativeSaliency, varianceSaliency } from './li2016.ts';
import { occlusion } from './occlusion.ts';
import { meaningfulPerturbation } from './meaningful-perturbation.ts';
import { rise } from './rise.ts';
import { saliency } from './saliency.ts';
import { exactShapley, shapleySampling } from './shapley.ts';
import { noiseWrappers } from './smooth-grad.ts';

export const METHODS: readonly Method[] = [
  integratedGradients,
  inputXGradient,
  saliency,
  guidedBackprop,
  deconvnet,
  deepLift,
  deepLiftRevealCancel,
  deepLiftShap,
  ...LRP_METHODS,
  attnLrp,
  cpLrp,
  ...noiseWrappers((name) => findMethod(name)),
  expectedGradients,
  idgi,
  discretizedIg,
  blurIg,
  guidedIg,
  integratedHessians,
  internalInfluence,
  layerConductance,
  neuronConductance,
  occlusion,
  featureAblation,
  leaveOneOut,
  featurePermutation,
  shapleySampling,
  exactShapley,
  rise,
  firstDerivativeSaliency,
  varianceSaliency,
  composition,
  meaningfulPerturbation,
  dRise,
  ...CAM_METHODS,
  ...ATTENTION_METHODS,
];

/** Every method there is: those of this room, and the surrogates. */
export const ALL_METHODS: readonly Method[] = [...METHODS, ...SURROGATES];

/** Other names for methods. */
const ALIASES: Readonly<Record<string, string>> = { 'gradient-shap': expectedGradients.name };

/** The method of a name among those given. Throws a UsageError that names the nearest ones. */
export function findMethod(name = integratedGradients.name, methods: readonly Method[] = ALL_METHODS): Method {
  const method = methods.find((each) => each.name === (ALIASES[name] ?? name));
  if (method === undefined)
    throw new UsageError(
      `unknown method "${name}"; nearest: ${nearestNames(
        name,
        methods.map((each) => each.name),
      ).join(', ')}; "onnxray explain --help" lists all ${methods.length}`,
    );
  return method;
}
