import { GraphBuilder, UsageError, UserError, isStatic, listLayers, pruneModel, sizeOf } from '../onnx/index.ts';
import type { Dim, Model, NamedTensors, ValueName } from '../onnx/index.ts';
import { planImage } from '../inputs/core.ts';
import type { ImagePlan, ImageSource } from '../inputs/core.ts';
import type { ExplainableModel } from '../attribution/core.ts';
import { chooseOutput, findLayer, readOptions } from '../programs/index.ts';
import type { OptionValue } from '../programs/index.ts';
import { parseTarget } from '../tasks/core.ts';
import { findPictures, toPixels } from './optimise.ts';
import type { Descent, Found } from './optimise.ts';
import type { Canvas, Parametrisation } from './parametrisation.ts';
import type { VisualisationRequest } from './program.ts';
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

/** What is to be made visible: channels, or one place, of a layer, a weighted sum of its channels, or a class of the answer. */
export type Wanted =
  | { readonly layer: string; readonly channels: readonly number[] }
  | { readonly layer: string; readonly neuron: readonly number[] }
  | { readonly layer: string; readonly direction: readonly number[] }
  | { readonly target: string; readonly output?: string };

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
  const { plan, canvas } = sceneOf(model);
  const jitter = read.jitter ?? Math.floor(Math.min(canvas.height, canvas.width) / 20);
  const place = placeOf(model, wanted, canvas);
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
  const { plan, canvas } = sceneOf(model, encoded.tensors[encoded.encoding.input]!.dims);
  const place = placeOf(model, { layer, channels: [] }, canvas);
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

/** The size a model is given pictures in where it takes any. */
const ANY_SIZE = 224;

/** How pictures go into the model, and the one that is made. Throws a UserError for a model that takes none. */
function sceneOf({ inputs, folder }: ExplainableModel, dims?: readonly number[]): { plan: ImagePlan; canvas: Canvas } {
  const fixed = inputs.find(({ dims: own }) => own?.length === 4)?.dims?.slice(1);
  // Of a model of any size that nothing says a size for, the values of pixels are all that is asked of the plan.
  const plan = planImage(inputs, folder.preprocessor ?? (isStatic(fixed) ? undefined : { size: ANY_SIZE }));
  const { crop, resize, layout, channels } = plan;
  const given = dims === undefined ? undefined : layout === 'NCHW' ? dims.slice(2) : dims.slice(1, 3);
  const asked = crop ?? (resize !== undefined && 'height' in resize ? resize : undefined);
  const height = given?.[0] ?? plan.fixed.height ?? asked?.height ?? ANY_SIZE;
  const width = given?.[1] ?? plan.fixed.width ?? asked?.width ?? ANY_SIZE;
  if (plan.type === 'uint8')
    throw new UserError(`input "${plan.input}" takes bytes: a picture cannot be found by gradients in it`);
  return { plan, canvas: { height, width, channels } };
}

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

/** A value of the model under its name for people, with its dims after the batch. */
export interface Place {
  readonly path: string;
  readonly value: ValueName;
  readonly dims: readonly number[];
  /** Axis of the channels among them. */
  readonly axis: number;
}

const RECTIFIERS = new Set(['Relu', 'Clip']);

/** The layer or output that is asked about. Throws a UserError when there is none of the name, or its size is unknown. */
export function placeOf(
  model: ExplainableModel,
  wanted: Wanted,
  { height, width }: Pick<Canvas, 'height' | 'width'>,
): Place {
  const { host } = model;
  const sized = sizedModel(host.model, height, width);
  if ('target' in wanted) {
    const output = chooseOutput(host.model, wanted.output);
    const node = sized.graph.nodes.find(({ outputs }) => outputs.includes(output));
    const value = node?.operator === 'Softmax' ? node.inputs[0]! : output;
    const layers = listLayers(sized);
    const dims =
      layers.find((each) => each.output === value)?.dims ?? layers.find((each) => each.output === output)?.dims;
    return placed(output, value, dims);
  }
  const layer = findLayer(sized, wanted.layer);
  const node = sized.graph.nodes.find(({ outputs }) => outputs.includes(layer.output))!;
  return placed(layer.path, RECTIFIERS.has(node.operator) ? node.inputs[0]! : layer.output, layer.dims);
}

function placed(path: string, value: ValueName, given: readonly Dim[] | undefined): Place {
  const dims = given?.slice(1);
  if (!isStatic(dims) || dims.length === 0)
    throw new UserError(`"${path}" has no fixed shape after the batch axis, so nothing in it can be addressed`);
  return { path, value, dims, axis: dims.length === 2 ? 1 : 0 };
}

/** The model with its picture in the size it is looked at with, so that layers' sizes are known. */
function sizedModel(model: Model, height: number, width: number): Model {
  const inputs = model.graph.inputs.map((info) => {
    if (info.dims?.length !== 4) return info;
    const last = info.dims[3] === 3 || info.dims[3] === 1;
    const channels = last ? info.dims[3]! : typeof info.dims[1] === 'number' ? info.dims[1] : 3;
    return { ...info, dims: last ? [1, height, width, channels] : [1, channels, height, width] };
  });
  return { ...model, graph: { ...model.graph, inputs, valueInfos: new Map() } };
}

interface Unit {
  readonly label: string;
  readonly indices: readonly number[];
  /** Weight of each element of the place's value. */
  readonly aim: Float32Array;
}

function unitsOf({ folder }: ExplainableModel, wanted: Wanted, { path, dims, axis }: Place): readonly Unit[] {
  const size = sizeOf(dims);
  if ('target' in wanted) {
    const blank = { type: 'float32', dims: [1, ...dims], data: new Float32Array(size) } as const;
    const { label, indices, minus, terms } = parseTarget(wanted.target, blank, folder.labels);
    if (minus !== undefined || terms !== undefined)
      throw new UsageError('a picture is found for one class at a time: give --target one label or index');
    return [{ label, indices, aim: oneAt(indices, dims) }];
  }
  if ('neuron' in wanted) {
    const { neuron } = wanted;
    const inside = neuron.length === dims.length && neuron.every((index, at) => index < dims[at]!);
    if (!inside)
      throw new UserError(
        `neuron ${neuron.join(',')} is not in layer "${path}", which is [${dims.join(', ')}] after the batch axis`,
      );
    return [{ label: `${path}[${neuron.join(',')}]`, indices: neuron, aim: oneAt(neuron, dims) }];
  }
  const count = dims[axis]!;
  const inner = sizeOf(dims.slice(axis + 1));
  const positions = size / count;
  if ('direction' in wanted) {
    if (wanted.direction.length !== count)
      throw new UserError(
        `the direction has ${wanted.direction.length} numbers, but layer "${path}" has ${count} channels`,
      );
    const aim = Float32Array.from(
      { length: size },
      (_, at) => wanted.direction[Math.floor(at / inner) % count]! / positions,
    );
    return [{ label: `${path} direction`, indices: [], aim }];
  }
  return wanted.channels.map((channel) => {
    if (channel >= count) throw new UserError(`layer "${path}" has no channel ${channel}: it has ${count}, from 0`);
    const aim = Float32Array.from({ length: size }, (_, at) =>
      Math.floor(at / inner) % count === channel ? 1 / positions : 0,
    );
    return { label: `${path}[${channel}]`, indices: [channel], aim };
  });
}

function oneAt(indices: readonly number[], dims: readonly number[]): Float32Array {
  const aim = new Float32Array(sizeOf(dims));
  aim[indices.reduce((flat, index, axis) => flat * dims[axis]! + index, 0)] = 1;
  return aim;
}
