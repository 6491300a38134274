/** What all class activation maps share: the layer, one forward pass to it, and the map made by the graph behind it. */
import type { DenseTensor } from '../../../onnx/index.ts';
import { numbers } from '../../../programs/index.ts';
import type { Attribution, AttributionContext, MapForm, Numbers, OptionsOf } from '../../../programs/index.ts';
import type { Picture } from './picture.ts';
import { targetLayer } from './target-layer.ts';
import type { TargetLayer } from './target-layer.ts';

export const MAP_OPTIONS = {
  relu: { kind: 'boolean', default: true, help: 'make negative values of the map 0' },
  eigen_smooth: {
    kind: 'boolean',
    default: false,
    help: 'the first principal component over channels in place of their sum',
  },
  aug_smooth: {
    kind: 'boolean',
    default: false,
    help: 'mean over six copies of the picture: mirrored or not, times 0.9, 1 and 1.1',
  },
} as const;

export interface Drawing extends OptionsOf<typeof MAP_OPTIONS> {
  readonly method: string;
  readonly form: MapForm;
  readonly window?: number;
  /** The target in place of the one asked for, from the answer and the weights that pick it. */
  readonly retarget?: (answer: DenseTensor, weights: DenseTensor) => DenseTensor;
}

/**
 * One map. Where the target is known, all is one program: a forward pass, and a backward pass down to the layer. Where it hangs
 * on the answer, and the layer is all that the answer knows of the picture, the model runs once, up to the answer, and gives
 * the layer's values; forward and backward pass from there are a small program of their own.
 */
export async function drawMap(context: AttributionContext, drawing: Drawing): Promise<Attribution> {
  const place = targetLayer(context, drawing.method);
  const { layer, fold } = place;
  const { form, window, relu, eigen_smooth: eigenSmooth } = drawing;
  const map = { layer, form, fold, relu, eigenSmooth, ...(window === undefined ? {} : { window }) };
  const copies = drawing.aug_smooth ? COPIES : [IDENTITY];
  const weights = copies.map(() => 1);
  const waits = !context.targetIsKnown || drawing.retarget !== undefined;
  const direct = place.cuts && waits && !drawing.aug_smooth;
  const values = direct ? await layerValues(context, place) : undefined;
  const runner = await context.open(
    values === undefined
      ? {
          rows: 'points',
          features: [place.picture.feature],
          map,
          inputPoint: (input) => pointOf(context, place.picture, input, IDENTITY),
        }
      : { rows: 'points', features: [layer], map, inputPoint: () => values },
  );
  const asked = await context.target(runner);
  const target = drawing.retarget === undefined ? asked : drawing.retarget(await context.answer(), asked);
  const points = (row: number, input: string) => values ?? pointOf(context, place.picture, input, copies[row]!);
  const inputRow = copies.indexOf(IDENTITY);
  const result = await runner.run({ weights, points, inputRow }, target);
  const sum = new Float32Array(fold.height * fold.width);
  result.maps.forEach((each, row) => {
    for (let at = 0; at < sum.length; at++) {
      const column = at % fold.width;
      const from = copies[row]!.mirrored ? at - column + (fold.width - 1 - column) : at;
      sum[at]! += each[from]! / copies.length;
    }
  });
  const value = drawing.retarget === undefined ? result.values[inputRow]! : dot(await context.answer(), asked);
  return mapAttribution(place, sum, value);
}

/** A finished map as an attribution. */
export function mapAttribution({ layer, fold }: TargetLayer, data: Float32Array, value: number): Attribution {
  return {
    scores: { [layer.input]: { dims: [1, fold.height, fold.width], data } },
    value,
    baselineValue: null,
    sumsTo: null,
    found: { layer: layer.input },
  };
}

/** The layer's values for the input, from the one forward pass that also gives the answer. */
export async function layerValues(context: AttributionContext, { layer }: TargetLayer): Promise<Numbers> {
  const runner = await context.open({ rows: 'alphas', capture: [layer.value] });
  const target = await context.target(runner);
  if (runner.captured.get(layer.value) === undefined) await runner.run({ weights: [1], alphas: [1] }, target);
  return runner.captured.get(layer.value)!.at(-1)!;
}

/** Each channel of a layer's values as a map of its own. */
export function channelMaps(values: Numbers, { fold }: TargetLayer): Float32Array[] {
  const { kind, channels, height, width, skip } = fold;
  const positions = height * width;
  return Array.from({ length: channels }, (_, channel) =>
    Float32Array.from({ length: positions }, (_, at) =>
      kind === 'channels-first' ? values[channel * positions + at]! : values[(skip + at) * channels + channel]!,
    ),
  );
}

/** sum_k w_k A_k, without its negative part where `relu`. */
export function weightedMap(maps: readonly Float32Array[], weights: ArrayLike<number>, relu: boolean): Float32Array {
  const sum = new Float64Array(maps[0]!.length);
  maps.forEach((map, channel) => {
    for (let at = 0; at < sum.length; at++) sum[at]! += weights[channel]! * map[at]!;
  });
  return Float32Array.from(sum, (each) => (relu ? Math.max(0, each) : each));
}

/** A copy of the picture: its mirror image, and by what it is multiplied. */
interface Copy {
  readonly mirrored: boolean;
  readonly times: number;
}

const IDENTITY: Copy = { mirrored: false, times: 1 };
const COPIES: readonly Copy[] = [
  IDENTITY,
  ...[0.9, 1.1].map((times) => ({ mirrored: false, times })),
  ...[0.9, 1, 1.1].map((times) => ({ mirrored: true, times })),
];

function pointOf(
  { inputs }: AttributionContext,
  { feature, layout, channels, height, width }: Picture,
  input: string,
  { mirrored, times }: Copy,
): Numbers {
  const values = numbers(inputs[input]!);
  if (input !== feature.input || (!mirrored && times === 1)) return values;
  const [inner, lines] = layout === 'NCHW' ? [1, channels * height] : [channels, height];
  const copy = new Float32Array(values.length);
  for (let line = 0; line < lines; line++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < inner; c++) {
        const to = (line * width + x) * inner + c;
        const from = (line * width + (mirrored ? width - 1 - x : x)) * inner + c;
        copy[to] = values[from]! * times;
      }
  return copy;
}

export function dot(answer: DenseTensor, weights: DenseTensor): number {
  const [left, right] = [numbers(answer), numbers(weights)];
  let sum = 0;
  for (let at = 0; at < left.length; at++) sum += left[at]! * right[at]!;
  return sum;
}
