/** The program of a visualisation: parameters to a picture, through the model to a layer, and the gradient of what is wanted there. */
import { appendGradients, prepareFor } from '../autodiff/index.ts';
import {
  GraphBuilder,
  UserError,
  foldPadding,
  isFloat,
  isStatic,
  narrowToRead,
  normalizeModel,
  pruneModel,
} from '../onnx/index.ts';
import type { Model, ValueName } from '../onnx/index.ts';
import type { ImagePlan } from '../inputs/core.ts';
import { parameterDims, paint, transformed } from './parametrisation.ts';
import type { Canvas, Parametrisation } from './parametrisation.ts';

/** Everything a program depends on beside the model; plain data, since programs are cached by it. */
export interface VisualisationRequest {
  readonly kind: 'visualisation';
  readonly canvas: Canvas;
  readonly parametrisation: Parametrisation;
  /** How pixels become the model's input. */
  readonly plan: Pick<ImagePlan, 'input' | 'layout' | 'scale' | 'shift' | 'bgr'>;
  /** The value that is looked at. */
  readonly value: ValueName;
  /**
   * What each row wants: `linear`, the sum of the value times the row's aim; `match`, to come close to the aim:
   * minus the squared distance over the aim's square.
   */
  readonly objective: 'linear' | 'match';
}

/** Names of a program's inputs and outputs. */
export const VISUALISATION = {
  /** What is optimised: [rows, ...]. */
  parameters: 'onnxray/parameters',
  /** Affine map of each row: [rows, 6]. */
  maps: 'onnxray/maps',
  /** What each row wants of the value: [rows, ...]. */
  aim: 'onnxray/aim',
  /** Price of the mean squared difference of neighbouring pixels: []. */
  roughness: 'onnxray/roughness',
  /** How far each row got, without the price: [rows]. */
  scores: 'onnxray/scores',
  /** Gradient of score minus price in the parameters. */
  gradient: 'onnxray/gradient',
  /** The picture from 0 to 1, before it is mapped: [rows, C, H, W]. */
  picture: 'onnxray/picture',
} as const;

/** Throws a UserError where the value does not depend on the picture, is not of floats or of unknown size. */
export function compileVisualisation(given: Model, request: VisualisationRequest): Model {
  const { canvas, parametrisation, plan, value } = request;
  const { height, width, channels } = canvas;
  const dims = plan.layout === 'NCHW' ? ['rows', channels, height, width] : ['rows', height, width, channels];
  const kept = [plan.input, value];
  const sized = narrowToRead(foldPadding(normalizeModel(given, { dims: { [plan.input]: dims } })), kept);
  const model = prepareFor({ set: 'gradient' }, sized, kept);
  const { graph } = model;
  const type = graph.inputs.find(({ name }) => name === plan.input)!.type;
  if (!isFloat(type))
    throw new UserError(`input "${plan.input}" is of ${type}: a picture cannot be found by gradients in it`);
  const b = new GraphBuilder({
    ...model,
    graph: { ...graph, nodes: [], outputs: [], inputs: [], valueInfos: new Map() },
  });
  b.reserve(graph.nodes);
  const parameters = b.addInput({
    name: VISUALISATION.parameters,
    type: 'float32',
    dims: ['rows', ...parameterDims(canvas, parametrisation)],
  });
  const maps = b.addInput({ name: VISUALISATION.maps, type: 'float32', dims: ['rows', 6] });
  const roughness = b.addInput({ name: VISUALISATION.roughness, type: 'float32', dims: [] });
  const picture = paint(b, parameters, canvas, parametrisation);
  const point = b.cast(asInput(b, transformed(b, picture, maps, canvas), request), type);

  for (const node of graph.nodes)
    b.push({ ...node, inputs: node.inputs.map((name) => (name === plan.input ? point : name)) });
  const facts = b.facts(value);
  if (facts === undefined || !isFloat(facts.type))
    throw new UserError(
      `"${value}" is ${facts === undefined ? 'not computed from the picture' : `of type ${facts.type}`}`,
    );
  const own = facts.dims?.slice(1);
  if (!isStatic(own)) throw new UserError(`"${value}" has no fixed shape, so nothing in it can be addressed`);
  const seen = b.cast(value, 'float32');
  const aim = b.addInput({ name: VISUALISATION.aim, type: 'float32', dims: ['rows', ...own] });
  const axes = own.map((_, at) => at + 1);
  const scores =
    request.objective === 'linear'
      ? b.sum(b.mul(seen, aim), axes, false)
      : b.neg(b.div(b.sum(b.square(b.sub(seen, aim)), axes, false), b.sum(b.square(aim), axes, false)));
  const wanted = b.sub(scores, b.mul(roughness, roughnessOf(b, picture, canvas)));
  const gradient = appendGradients(b, { of: wanted, wrt: [parameters], seed: b.onesLike(wanted) }).get(parameters)!;
  b.addOutput(scores, VISUALISATION.scores);
  b.addOutput(gradient, VISUALISATION.gradient);
  b.addOutput(picture, VISUALISATION.picture);
  return pruneModel(b.build());
}

/** A picture from 0 to 1 as the model takes it. */
function asInput(b: GraphBuilder, picture: ValueName, { canvas, plan }: VisualisationRequest): ValueName {
  const { channels } = canvas;
  const perChannel = (values: readonly number[], times: number) =>
    b.constant(
      'float32',
      [channels, 1, 1],
      values.map((each) => each * times),
    );
  const ordered = plan.bgr && channels === 3 ? b.gather(picture, b.int64s([2, 1, 0]), 1) : picture;
  const normalised = b.add(b.mul(ordered, perChannel(plan.scale, 255)), perChannel(plan.shift, 1));
  return plan.layout === 'NCHW' ? normalised : b.transpose(normalised, [0, 2, 3, 1]);
}

/** Mean squared difference of neighbours, down and across: [rows]. */
function roughnessOf(b: GraphBuilder, picture: ValueName, { height, width, channels }: Canvas): ValueName {
  const part = (axis: number, length: number) => {
    const dims = ['rows', channels, height, width].map((dim, at) => (at === axis ? length - 1 : dim));
    const [first, rest] = [
      b.slice(picture, b.int64s([0]), b.int64s([length - 1]), [axis], undefined, dims),
      b.slice(picture, b.int64s([1]), b.int64s([length]), [axis], undefined, dims),
    ];
    return b.mean(b.square(b.sub(rest, first)), [1, 2, 3], false);
  };
  return b.add(part(2, height), part(3, width));
}
