/** Where in a model something is looked at: how pictures go in, and the value with its channels and places. */
import { UserError, inferGraph, isStatic, listLayers, opsetOf } from '../onnx/index.ts';
import type { Dim, Model, ValueName } from '../onnx/index.ts';
import { planImage } from '../inputs/core.ts';
import type { ImagePlan } from '../inputs/core.ts';
import type { ExplainableModel } from '../attribution/core.ts';
import { chooseOutput, findLayer, layoutsOf } from '../programs/index.ts';
import type { Canvas } from './parametrisation.ts';

/** The size a model is given pictures in where it takes any. */
const ANY_SIZE = 224;

/** How pictures go into a model, and the size of the one that is looked at. */
export interface Scene {
  readonly plan: ImagePlan;
  readonly canvas: Canvas;
}

/**
 * The scene of a model, for an input of these dims or of the size it asks for. Throws a UserError for a model that takes no
 * picture.
 */
export function sceneOf({ inputs, folder }: ExplainableModel, dims?: readonly number[]): Scene {
  const fixed = inputs.find(({ dims: own }) => own?.length === 4)?.dims?.slice(1);
  // Of a model of any size that nothing says a size for, the values of pixels are all that is asked of the plan.
  const plan = planImage(inputs, folder.preprocessor ?? (isStatic(fixed) ? undefined : { size: ANY_SIZE }));
  const { crop, resize, layout, channels } = plan;
  const given = dims === undefined ? undefined : layout === 'NCHW' ? dims.slice(2) : dims.slice(1, 3);
  const asked = crop ?? (resize !== undefined && 'height' in resize ? resize : undefined);
  const height = given?.[0] ?? plan.fixed.height ?? asked?.height ?? ANY_SIZE;
  const width = given?.[1] ?? plan.fixed.width ?? asked?.width ?? ANY_SIZE;
  return { plan, canvas: { height, width, channels } };
}

/** As `sceneOf`, for pictures that are found by gradients. Throws a UserError where the input has none. */
export function foundIn(model: ExplainableModel, dims?: readonly number[]): Scene {
  const scene = sceneOf(model, dims);
  if (scene.plan.type === 'uint8')
    throw new UserError(`input "${scene.plan.input}" takes bytes: a picture cannot be found by gradients in it`);
  return scene;
}

/** What is to be made visible: channels, or one place, of a layer, a weighted sum of its channels, or a class of the answer. */
export type Wanted =
  | { readonly layer: string; readonly channels: readonly number[] }
  | { readonly layer: string; readonly neuron: readonly number[] }
  | { readonly layer: string; readonly direction: readonly number[] }
  | { readonly target: string; readonly output?: string };

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
export function placeOf({ host }: ExplainableModel, wanted: Wanted, scene: Scene): Place {
  const sized = sizedModel(host.model, scene);
  if ('target' in wanted) {
    const output = chooseOutput(host.model, wanted.output);
    const node = sized.graph.nodes.find(({ outputs }) => outputs.includes(output));
    const value = node?.operator === 'Softmax' ? node.inputs[0]! : output;
    const layers = listLayers(sized);
    const dims =
      layers.find((each) => each.output === value)?.dims ?? layers.find((each) => each.output === output)?.dims;
    return { path: output, value, dims: fixed(output, dims), axis: 0 };
  }
  const layer = findLayer(sized, wanted.layer);
  const node = sized.graph.nodes.find(({ outputs }) => outputs.includes(layer.output))!;
  const value = RECTIFIERS.has(node.operator) ? node.inputs[0]! : layer.output;
  const dims = fixed(layer.path, layer.dims);
  return { path: layer.path, value, dims, axis: channelAxis(sized, scene, layer.output, dims.length) };
}

/** Axis of the channels after the batch: the last of tokens and of maps that have them there, else the first. */
function channelAxis(sized: Model, { plan }: Scene, value: ValueName, rank: number): number {
  if (rank === 2) return 1;
  if (rank !== 3) return 0;
  const facts = inferGraph(sized.graph, opsetOf(sized));
  return layoutsOf(sized, facts, plan.input, plan.layout).get(value) === 'last' ? 2 : 0;
}

function fixed(path: string, given: readonly Dim[] | undefined): readonly number[] {
  const dims = given?.slice(1);
  if (!isStatic(dims) || dims.length === 0)
    throw new UserError(`"${path}" has no fixed shape after the batch axis, so nothing in it can be addressed`);
  return dims;
}

/** The model with its picture in the size it is looked at with, so that layers' sizes are known. */
export function sizedModel(model: Model, { plan, canvas: { height, width, channels } }: Scene): Model {
  const dims = plan.layout === 'NCHW' ? [1, channels, height, width] : [1, height, width, channels];
  const inputs = model.graph.inputs.map((info) => (info.name === plan.input ? { ...info, dims } : info));
  return { ...model, graph: { ...model.graph, inputs, valueInfos: new Map() } };
}
