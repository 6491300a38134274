/** All attribution methods by their names on the command line. */
import { UsageError } from '../../onnx/index.ts';
import type { Method } from '../method.ts';
import { inputXGradient } from './input-x-gradient.ts';
import { integratedGradients } from './integrated-gradients.ts';
import { saliency } from './saliency.ts';

export const METHODS: readonly Method[] = [integratedGradients, inputXGradient, saliency];

/** The method of a name. Throws a UsageError that lists the names there are. */
export function findMethod(name: string): Method {
  const method = METHODS.find((each) => each.name === name);
  if (method === undefined)
    throw new UsageError(`unknown method "${name}"; there are ${METHODS.map((each) => each.name).join(', ')}`);
  return method;
}
