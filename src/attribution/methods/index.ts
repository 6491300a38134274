/** All attribution methods by their names on the command line. */
import { UsageError } from '../../onnx/index.ts';
import type { Method } from '../../programs/index.ts';
import { attnLrp, cpLrp } from './attn-lrp.ts';
import { deconvnet } from './deconvnet.ts';
import { deepLift, deepLiftRevealCancel, deepLiftShap } from './deep-lift.ts';
import { guidedBackprop } from './guided-backprop.ts';
import { inputXGradient } from './input-x-gradient.ts';
import { integratedGradients } from './integrated-gradients.ts';
import { LRP_METHODS } from './lrp.ts';
import { saliency } from './saliency.ts';

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
];

/** The method of a name. Throws a UsageError that lists the names there are. */
export function findMethod(name = integratedGradients.name): Method {
  const method = METHODS.find((each) => each.name === name);
  if (method === undefined)
    throw new UsageError(`unknown method "${name}"; there are ${METHODS.map((each) => each.name).join(', ')}`);
  return method;
}
