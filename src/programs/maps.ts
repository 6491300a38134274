/** Class activation maps inside the graph: from a layer's values and their gradient to one number for each position. */
import { appendGradients } from '../autodiff/index.ts';
import type { RuleTable } from '../autodiff/index.ts';
import type { GraphBuilder, ValueName } from '../onnx/index.ts';
import { kernelProjection, principalProjection } from './principal-component.ts';
import type { Feature } from './features.ts';
import { PROGRAM } from './names.ts';

/**
 * Where a layer has its positions and its channels: [1, C, H, W], [1, H, W, C], or [1, skip + H W, C], the tokens of a
 * picture's patches row by row behind `skip` others (CLS, distillation, registers), which have no place in the map.
 */
export interface Fold {
  readonly kind: 'channels-first' | 'channels-last' | 'tokens';
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Tokens before the first patch; 0 for the other kinds. */
  readonly skip: number;
}

/** How activations A and gradients G = d target / d A become a map; each is described at its method. */
export type MapForm =
  | 'grad-cam'
  | 'grad-cam-plus-plus'
  | 'xgrad-cam'
  | 'layer-cam'
  | 'hires-cam'
  | 'eigen-cam'
  | 'eigen-grad-cam'
  | 'kpca-cam'
  | 'shapley-cam'
  | 'seg-xres-cam'
  | 'cam';

export interface MapRequest {
  /** Where the map is drawn: what rows vary in, or a value that depends on it. */
  readonly layer: Feature;
  readonly form: MapForm;
  readonly fold: Fold;
  /** Of seg-xres-cam: side of the windows that gradients are averaged over. */
  readonly window?: number;
  /** Negative values become 0. */
  readonly relu: boolean;
  /** The first principal component over channels in place of their sum. */
  readonly eigenSmooth: boolean;
}

/** Forms that look at activations alone. */
export const WITHOUT_GRADIENT: ReadonlySet<MapForm> = new Set(['eigen-cam', 'kpca-cam']);

/** The values of a layer as [rows, channels, positions]. */
export function foldValue(b: GraphBuilder, value: ValueName, { kind, channels, height, width, skip }: Fold): ValueName {
  const rows = b.dims(value)?.[0];
  const positions = height * width;
  if (kind === 'channels-first')
    return b.op('Reshape', [value, b.int64s([0, channels, positions])], {}, { dims: [rows, channels, positions] });
  const flat =
    kind === 'tokens'
      ? b.slice(value, b.int64s([skip]), b.int64s([skip + positions]), [1], undefined, [rows, positions, channels])
      : b.op('Reshape', [value, b.int64s([0, positions, channels])], {}, { dims: [rows, positions, channels] });
  return b.transpose(flat, [0, 2, 1]);
}

export interface MapScene {
  /** The layer's values in all rows. */
  readonly point: ValueName;
  readonly result: ValueName;
  readonly seed: ValueName;
  /** Of the first derivative. */
  readonly rules: RuleTable;
}

/** Appends the map of every row, [rows, height, width], as an output. */
export function appendMap(b: GraphBuilder, request: MapRequest, scene: MapScene): void {
  const { form, fold, layer } = request;
  const { point } = scene;
  const activations = foldValue(b, point, fold);
  const map = WITHOUT_GRADIENT.has(form)
    ? form === 'kpca-cam'
      ? kernelProjection(b, activations)
      : principalProjection(b, activations)
    : gradientMap(b, request, activations, scene);
  const kept = request.relu ? b.op('Max', [map, b.scalar(0, map)]) : map;
  const shape = b.int64s([0, fold.height, fold.width]);
  const dims = [b.dims(point)?.[0], fold.height, fold.width];
  b.addOutput(b.op('Reshape', [kept, shape], {}, { dims }), PROGRAM.map(layer.input));
}

/** [rows, positions]: activations weighted by some reading of their gradient, reduced over the channels. */
function gradientMap(
  b: GraphBuilder,
  { form, fold, eigenSmooth, window }: MapRequest,
  activations: ValueName,
  { point, result, seed, rules }: MapScene,
): ValueName {
  const raw = appendGradients(b, { of: result, wrt: [point], seed, rules }).get(point)!;
  const whole = foldValue(b, raw, fold);
  const gradient = form === 'seg-xres-cam' ? windowMeans(b, whole, fold, window ?? 1) : whole;
  const weights = channelWeights(b, form, activations, gradient, () => {
    const product = appendGradients(b, { of: raw, wrt: [point], seed: point }).get(point)!;
    return foldValue(b, product, fold);
  });
  const weighted = b.mul(weights, activations);
  return eigenSmooth || form === 'eigen-grad-cam' ? principalProjection(b, weighted) : b.sum(weighted, [1], false);
}

/** What activations are multiplied with: [rows, channels, 1] or [rows, channels, positions]. */
function channelWeights(
  b: GraphBuilder,
  form: MapForm,
  activations: ValueName,
  gradient: ValueName,
  hessianProduct: () => ValueName,
): ValueName {
  const zero = b.scalar(0, gradient);
  switch (form) {
    case 'cam':
      return b.sum(gradient, [2]);
    case 'grad-cam-plus-plus': {
      const square = b.square(gradient);
      const total = b.sum(activations, [2]);
      const below = b.add(
        b.add(b.mul(square, b.scalar(2, square)), b.mul(total, b.mul(square, gradient))),
        b.scalar(1e-6, square),
      );
      const alpha = b.where(b.equal(gradient, zero), zero, b.div(square, below));
      return b.sum(b.mul(alpha, b.op('Max', [gradient, zero])), [2]);
    }
    case 'xgrad-cam':
      return b.div(b.sum(b.mul(gradient, activations), [2]), b.add(b.sum(activations, [2]), b.scalar(1e-7, gradient)));
    case 'layer-cam':
      return b.op('Max', [gradient, zero]);
    case 'hires-cam':
    case 'seg-xres-cam':
    case 'eigen-grad-cam':
      return gradient;
    case 'shapley-cam':
      return b.mean(b.sub(gradient, b.mul(b.scalar(0.5, gradient), hessianProduct())), [2]);
    default:
      return b.mean(gradient, [2]);
  }
}

/** Each gradient replaced by the mean over its window; windows tile the map, the last may be cut off: [rows, channels, positions]. */
function windowMeans(
  b: GraphBuilder,
  gradient: ValueName,
  { channels, height, width }: Fold,
  window: number,
): ValueName {
  const rows = b.dims(gradient)?.[0];
  const grid = b.op(
    'Reshape',
    [gradient, b.int64s([0, channels, height, width])],
    {},
    { dims: [rows, channels, height, width] },
  );
  const means = [2, 3].reduce((value, axis) => {
    const size = axis === 2 ? height : width;
    // A matrix of the windows' shares, since a map may be no multiple of the window.
    const last = (at: number) =>
      Math.min(size, (Math.floor(at / window) + 1) * window) - Math.floor(at / window) * window;
    const share = Array.from({ length: size * size }, (_, at) => {
      const [from, to] = [Math.floor(at / size), at % size];
      return Math.floor(from / window) === Math.floor(to / window) ? 1 / last(to) : 0;
    });
    const matrix = b.constant(b.type(gradient), [size, size], share);
    return axis === 3 ? b.matmul(value, matrix) : b.matmul(matrix, value);
  }, grid);
  return b.op(
    'Reshape',
    [means, b.int64s([0, channels, height * width])],
    {},
    { dims: [rows, channels, height * width] },
  );
}
