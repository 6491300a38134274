import { GraphBuilder, UserError, pruneModel } from '../onnx/index.ts';
import type { NamedTensors, ValueName } from '../onnx/index.ts';
import type { ImagePlan, ImageSource } from '../inputs/core.ts';
import type { ExplainableModel } from '../attribution/core.ts';
import { readOptions } from '../programs/index.ts';
import type { OptionValue } from '../programs/index.ts';
import { findPictures, toPixels } from './optimise.ts';
import type { Descent, Found } from './optimise.ts';
import type { Canvas, Parametrisation } from './parametrisation.ts';
import { foundIn, placeOf } from './place.ts';
import type { Wanted } from './place.ts';
import type { VisualisationRequest } from './program.ts';
import { unitsOf } from './units.ts';
import type { VisualisedUnit, Visualisation } from './visualisation.ts';

const PARAMETRISATION = {
  kind: 'choice',
  default: 'fourier',
  choices: ['fourier', 'pixels'],
  help: 'what is optimised: amplitudes of frequencies, or pixels',
} as const;
const DECAY = {
  kind: 'number',
  default: 1,
  above: 0,
  help: 'amplitudes are divided by frequency to this power',
} as const;

export const FEATURE_OPTIONS = {
  steps: { kind: 'integer', default: 256, min: 1, help: 'of the ascent' },
  learning_rate: { kind: 'number', default: 0.05, above: 0, help: 'of Adam' },
  parametrisation: PARAMETRISATION,
  decay: DECAY,
  jitter: {
    kind: 'integer',
    default: null,
    min: 0,
    help: 'pixels of random shift; default: a twentieth of the shorter side',
  },
  scale: { kind: 'integer', default: 10, min: 0, help: 'percent of random size' },
  rotate: { kind: 'integer', default: 10, min: 0, help: 'degrees of random turn' },
} as const;

export const INVERSION_OPTIONS = {
  steps: { kind: 'integer', default: 256, min: 1, help: 'of the descent' },
  learning_rate: { kind: 'number', default: 0.05, above: 0, help: 'of Adam' },
  parametrisation: PARAMETRISATION,
  decay: DECAY,
  tv: { kind: 'number', default: 1, above: 0, help: 'price of rough pictures (total variation)' },
} as const;

export interface VisualiseOptions extends Pick<Descent, 'memoryBudget' | 'signal' | 'onProgress'> {
  /** Options of the method; what is left out has its default. */
  readonly options?: Readonly<Record<string, OptionValue>>;
  /** Of the noise that pictures start from and of how they are moved. Default 0. */
  readonly seed?: number;
}

/**
 * Feature visualisation: pictures that make units of a model answer most, found by gradient ascent in the picture's spectrum
 * with decorrelated colours, while it is shifted, scaled and turned at random. A channel's value is its mean over positions. A
 * layer behind a rectifier is looked at before it, and a class before the softmax, where gradients do not vanish.
 * Known flaw: shows what excites a unit most, which photographs may never do; another seed shows another of its facets.
 * Olah, Mordvintsev & Schubert 2017, https://distill.pub/2017/feature-visualization.
 * Cost: `steps` forward and backward passes for each unit. Throws a UserError for a layer, channel, place or class there is not.
 */
export async function visualiseFeatures(
  model: ExplainableModel,
  wanted: Wanted,
  { options = {}, seed = 0, ...run }: VisualiseOptions = {},
): Promise<Visualisation> {
  const started = performance.now();
  const read = readOptions('feature-visualisation', FEATURE_OPTIONS, options);
  const scene = foundIn(model);
  const { plan, canvas } = scene;
  const jitter = read.jitter ?? Math.floor(Math.min(canvas.height, canvas.width) / 20);
  const place = placeOf(model, wanted, scene);
  const units = unitsOf(model, wanted, place);
  const request = requestOf(plan, canvas, read, place.value, 'linear');
  const found = await findPictures(
    model.host,
    request,
    units.map(({ aim }) => aim),
    {
      steps: read.steps,
      rate: read.learning_rate,
      roughness: 0,
      robustness: { jitter, scale: read.scale / 100, rotate: read.rotate },
      seed,
      ...run,
    },
  );
  const still = units.flatMap(({ label }, at) => (found[at]!.score > found[at]!.startScore ? [] : [label]));
  const warnings =
    still.length === 0 ? [] : [`Nothing was found that excites ${still.join(', ')} more than noise: try another seed.`];
  const described = units.map(({ label, indices }, at) => describeUnit(label, indices, found[at]!, canvas));
  const settings = { ...read, jitter, seed };
  return describe(
    model,
    'feature-visualisation',
    place.path,
    settings,
    described,
    warnings,
    started,
    units.length * (read.steps + 2),
  );
}

/**
 * Inversion: a picture that gives a layer the values a photograph gives it, found by gradient descent on
 *   |layer - layer of the photograph|^2 / |layer of the photograph|^2 + tv * mean squared difference of neighbours:
 * what the layer kept of the photograph.
 * Mahendran & Vedaldi 2015, https://arxiv.org/abs/1412.0035; colours are bounded by a sigmoid in place of their norm.
 * Cost: `steps` forward and backward passes. Throws a UserError for a broken picture or an unknown layer.
 */
export async function invertLayer(
  model: ExplainableModel,
  image: ImageSource,
  layer: string,
  { options = {}, seed = 0, ...run }: VisualiseOptions = {},
): Promise<Visualisation> {
  const started = performance.now();
  const read = readOptions('inversion', INVERSION_OPTIONS, options);
  const encoded = await model.encode({ image });
  if (encoded.kind !== 'image') throw new UserError('inversion starts from a picture');
  const scene = foundIn(model, encoded.tensors[encoded.encoding.input]!.dims);
  const { plan, canvas } = scene;
  const place = placeOf(model, { layer, channels: [] }, scene);
  const code = await valuesOf(model, place.value, encoded.tensors);
  const request = requestOf(plan, canvas, read, place.value, 'match');
  const [found] = await findPictures(model.host, request, [code], {
    steps: read.steps,
    rate: read.learning_rate,
    roughness: read.tv,
    robustness: { jitter: 0, scale: 0, rotate: 0 },
    seed,
    ...run,
  });
  const unit = describeUnit(place.path, [], found!, canvas);
  return describe(model, 'inversion', place.path, { ...read, seed }, [unit], [], started, read.steps + 3);
}

type Settings = Visualisation['options'];

function describe(
  { host }: ExplainableModel,
  method: Visualisation['method'],
  layer: string,
  options: Settings,
  units: readonly VisualisedUnit[],
  warnings: readonly string[],
  started: number,
  passes: number,
): Visualisation {
  const { provider, threads, versions } = host;
  return {
    method,
    options,
    model: { path: host.path, sha256: host.sha256 },
    layer,
    units,
    warnings: [...warnings, ...host.notes],
    runtime: { provider, threads, ms: performance.now() - started, passes, versions },
  };
}

function describeUnit(label: string, indices: readonly number[], found: Found, canvas: Canvas): VisualisedUnit {
  const { height, width } = canvas;
  const data = toPixels(found.picture, canvas);
  return { label, indices, pictures: [{ width, height, data, value: found.score, startValue: found.startScore }] };
}

/** A layer's values for an input. */
async function valuesOf({ host }: ExplainableModel, value: ValueName, tensors: NamedTensors): Promise<Float32Array> {
  const session = await host.program({ kind: 'values', value }, (model) => {
    const b = new GraphBuilder({ ...model, graph: { ...model.graph, outputs: [] } });
    b.addOutput(b.cast(value, 'float32'), VALUE);
    return pruneModel(b.build());
  });
  return (await session.run(tensors))[VALUE]!.data as Float32Array;
}

const VALUE = 'onnxray/value';

function requestOf(
  { input, layout, scale, shift, bgr }: ImagePlan,
  canvas: Canvas,
  { parametrisation, decay }: { readonly parametrisation: string; readonly decay: number },
  value: ValueName,
  objective: VisualisationRequest['objective'],
): VisualisationRequest {
  const space: Parametrisation['space'] = parametrisation === 'pixels' ? 'pixels' : 'fourier';
  return {
    kind: 'visualisation',
    canvas,
    parametrisation: { space, decay },
    plan: { input, layout, scale, shift, bgr },
    value,
    objective,
  };
}
