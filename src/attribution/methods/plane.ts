import { UserError } from '../../onnx/index.ts';
import type { Scores } from '../../explanation/index.ts';
import { findPlayers } from '../../programs/index.ts';
import type { AttributionContext, Feature, ProgramRunner } from '../../programs/index.ts';

/** Axes a window slides over: the positions of a picture, else the first axis after the batch. */
export interface Plane {
  readonly height: number;
  readonly width: number;
  /** Position of each element. */
  readonly positions: Int32Array;
}

/** Throws a UserError when several inputs can be scored, but for the picture beside a text. */
export function planeOf(context: AttributionContext): Plane {
  const { inputs, modality } = context;
  const features = planeFeatures(context);
  if (features.length !== 1)
    throw new UserError(`positions are of one input, but the model has ${features.length} that can be scored`);
  const { dims } = inputs[features[0]!.input]!;
  const last = modality.kind === 'image' && modality.layout === 'NHWC';
  const size = dims.reduce((product, dim) => product * dim, 1);
  const positions = new Int32Array(size);
  if (dims.length === 4) {
    const [height, width, channels] = last ? [dims[1]!, dims[2]!, dims[3]!] : [dims[2]!, dims[3]!, dims[1]!];
    for (let index = 0; index < size; index++)
      positions[index] = last ? Math.floor(index / channels) : index % (height * width);
    return { height, width, positions };
  }
  const width = dims[1] ?? 1;
  const inner = size / width;
  for (let index = 0; index < size; index++) positions[index] = Math.floor(index / inner);
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
  const players = findPlayers(positionsOnly(context, plane.positions), { features: 'auto', regions: null });
  return context.open({ rows: 'masks', groups: players.groups, ...(binary ? { binary } : {}) });
}

/** Each position's number at all its elements, shaped as the input. */
export function spreadPositions(
  context: AttributionContext,
  { positions }: Plane,
  values: Float64Array,
): Readonly<Record<string, Scores>> {
  const { inputs } = context;
  const { input } = planeFeatures(context)[0]!;
  return {
    [input]: { dims: inputs[input]!.dims, data: Float64Array.from(positions, (position) => values[position]!) },
  };
}

/** The context with one group for each position. */
export function positionsOnly(context: AttributionContext, positions: Int32Array): AttributionContext {
  const { inputs, baseline, modality, layer, neuron, detection, seed } = context;
  const own = planeFeatures(context);
  const { input } = own[0]!;
  const groups = { type: 'int64', dims: inputs[input]!.dims, data: BigInt64Array.from(positions, BigInt) } as const;
  return {
    open: (plan) => context.open({ features: own, ...plan }),
    model: () => context.model(),
    output: context.output,
    answer: () => context.answer(),
    embeddingTable: (feature) => context.embeddingTable(feature),
    target: (runner) => context.target(runner),
    targetIsKnown: context.targetIsKnown,
    features: own,
    inputs,
    baseline,
    modality,
    groups: { [input]: groups },
    layer,
    neuron,
    detection,
    seed,
  };
}

/** Of a picture compared with a text, windows slide over the picture. */
function planeFeatures({ features, modality }: AttributionContext): readonly Feature[] {
  return modality.kind === 'image' && modality.text !== undefined
    ? features.filter(({ input }) => input === modality.input)
    : features;
}
