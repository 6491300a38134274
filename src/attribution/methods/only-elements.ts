import { UserError } from '../../onnx/index.ts';
import type { AttributionContext } from '../../programs/index.ts';
import { numbers } from '../../programs/index.ts';

/** The one floating-point input of a method that walks through input space, and its baseline. */
export function onlyElements({ features, inputs, baseline }: AttributionContext, method: string) {
  const [feature, ...others] = features;
  if (feature === undefined || others.length > 0 || feature.kind !== 'elements')
    throw new UserError(`${method} is for models of one floating-point input, such as a picture`);
  const tensor = inputs[feature.input]!;
  const end = numbers(tensor);
  const start = baseline === 'zero' ? new Float64Array(end.length) : numbers(baseline[feature.input] ?? tensor);
  return { input: feature.input, dims: tensor.dims, end, start };
}
