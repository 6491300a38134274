import { UserError } from '../../../onnx/index.ts';
import type { AttributionContext, Feature } from '../../../programs/index.ts';

/** The input that is a picture, with its size. */
export interface Picture {
  readonly feature: Feature;
  readonly layout: 'NCHW' | 'NHWC';
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** The one input of four axes. Throws a UserError when there is none, or more than one. */
export function pictureOf({ features, inputs, modality }: AttributionContext, method: string): Picture {
  const pictures = features.filter(({ input, kind }) => kind === 'elements' && inputs[input]?.dims.length === 4);
  const [feature] = pictures;
  if (feature === undefined || pictures.length > 1)
    throw new UserError(
      `${method} draws a map over a picture, but the model has ${pictures.length === 0 ? 'no input' : `${pictures.length} inputs`} of four axes`,
    );
  const { dims } = inputs[feature.input]!;
  const last = modality.kind === 'image' ? modality.layout === 'NHWC' : dims[1]! > 4 && dims[3]! <= 4;
  const [channels, height, width] = last ? [dims[3]!, dims[1]!, dims[2]!] : [dims[1]!, dims[2]!, dims[3]!];
  return { feature, layout: last ? 'NHWC' : 'NCHW', channels, height, width };
}
