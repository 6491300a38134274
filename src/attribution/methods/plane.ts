import { UsageError, UserError, sizeOf } from '../../onnx/index.ts';
import type { NamedTensors } from '../../onnx/index.ts';
import type { Scores } from '../../explanation/index.ts';
import type { AttributionContext, Feature, ProgramRunner } from '../../programs/index.ts';

/** Axes a window slides over: the positions of a picture, else the first axis after the batch. */
export interface Plane {
  readonly height: number;
  readonly width: number;
  /**
   * Position of each element. Tokens of no word, such as those that begin and end a text, always stay: they stand behind all
   * positions.
   */
  readonly positions: Int32Array;
}

/**
 * `axis`: the one to slide along where the input is no picture.
 * Throws a UserError when several inputs can be scored, but for the picture beside a text.
 */
export function planeOf(context: AttributionContext, axis = 1): Plane {
  const { inputs, modality } = context;
  const features = planeFeatures(context);
  if (features.length !== 1)
    throw new UserError(`positions are of one input, but the model has ${features.length} that can be scored`);
  const { input } = features[0]!;
  const { dims } = inputs[input]!;
  const last = modality.kind === 'image' && modality.layout === 'NHWC';
  const size = sizeOf(dims);
  const positions = new Int32Array(size);
  if (dims.length === 4) {
    const [height, width, channels] = last ? [dims[1]!, dims[2]!, dims[3]!] : [dims[2]!, dims[3]!, dims[1]!];
    for (let index = 0; index < size; index++)
      positions[index] = last ? Math.floor(index / channels) : index % (height * width);
    return { height, width, positions };
  }
  if (axis < 1 || axis >= Math.max(2, dims.length))
    throw new UsageError(`windows slide along an axis after the batch's, but axis=${axis} of [${dims.join(', ')}]`);
  const width = dims[axis] ?? 1;
  const inner = sizeOf(dims.slice(axis + 1));
  const words = modality.kind === 'text' && modality.input === input ? modality.context.words : undefined;
  for (let index = 0; index < size; index++)
    positions[index] = words?.[index] === null ? width : Math.floor(index / inner) % width;
  return { height: 1, width, positions };
}

/**
 * A program whose rows are masks over the positions: one number for each, and for what has no picture's axes one more, of what
 * always stays. A picture's masks are sent as one plane and spread over its channels in the graph.
 * @param binary whether they are of 0 and 1 only.
 */
export async function openMasked(context: AttributionContext, plane: Plane, binary: boolean): Promise<ProgramRunner> {
  const { inputs, modality } = context;
  const features = planeFeatures(context);
  const { kind, input } = features[0]!;
  if (kind === 'elements' && inputs[input]!.dims.length === 4) {
    const layout = modality.kind === 'image' ? modality.layout : 'NCHW';
    const { height, width } = plane;
    const planes = { height, width, layout, stretch: false, alignCorners: false } as const;
    return context.open({ rows: 'planes', features, planes });
  }
  return context.open({ rows: 'masks', groups: positionGroups(context, plane), ...(binary ? { binary } : {}) });
}

/** Each position's number at all its elements, shaped as the input; 0 for what always stays. */
export function spreadPositions(
  context: AttributionContext,
  { positions }: Plane,
  values: Float64Array,
): Readonly<Record<string, Scores>> {
  const { input } = planeFeatures(context)[0]!;
  const data = new Float64Array(positions.length);
  for (let at = 0; at < data.length; at++) data[at] = values[positions[at]!] ?? 0;
  return { [input]: { dims: context.inputs[input]!.dims, data } };
}

/** The position of each element of the one input as its group. */
export function positionGroups(context: AttributionContext, { positions }: Plane): NamedTensors {
  const { input } = planeFeatures(context)[0]!;
  const data = BigInt64Array.from(positions, BigInt);
  return { [input]: { type: 'int64', dims: context.inputs[input]!.dims, data } };
}

/** Of a picture compared with a text, windows slide over the picture. */
function planeFeatures({ features, modality }: AttributionContext): readonly Feature[] {
  return modality.kind === 'image' && modality.text !== undefined
    ? features.filter(({ input }) => input === modality.input)
    : features;
}
