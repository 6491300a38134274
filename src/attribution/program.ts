import { BLOCKED_RULES, GRADIENT_RULES, appendGradients } from '../autodiff/index.ts';
import { GraphBuilder, UserError, foldPadding, int, isFloat, normalizeModel, pruneModel } from '../onnx/index.ts';
import type { Model, Node, ValueName } from '../onnx/index.ts';
import type { Feature } from './features.ts';

/** Names of what a compiled program takes and gives, beside the model's own inputs. */
export const PROGRAM = {
  /** Position of each step on the path from baseline (0) to input (1): float32 [steps]. */
  alphas: 'onnxray/alphas',
  /** Weight of each step in the sum over steps: float32 [steps]. */
  weights: 'onnxray/weights',
  /** Weight of each element of the explained output, [1, ...] as the output without its batch: the target. */
  target: 'onnxray/target',
  /** The explained output at each step: [steps, ...]. */
  output: 'onnxray/output',
  /** The target's value at each step: [steps]. */
  values: 'onnxray/values',
  baseline: (input: string) => `onnxray/baseline/${input}`,
  scores: (input: string) => `onnxray/scores/${input}`,
} as const;

/** How the summed gradients become scores. */
export type Reduction =
  /** times (input - baseline); summed over an embedding's axis. */
  | 'times-difference'
  /** absolute value; the Euclidean norm over an embedding's axis. */
  | 'magnitude'
  /** as it is; summed over an embedding's axis. */
  | 'signed';

export interface PathRequest {
  /** The output to explain. */
  readonly output: ValueName;
  readonly features: readonly Feature[];
  /** `zero`, or `given`: the baseline is an input of the program, in the shape and type of the model's input. */
  readonly baseline: 'zero' | 'given';
  readonly reduction: Reduction;
  /** `blocked` suits onnxruntime's CPU provider; `plain` (the default) any. */
  readonly rules?: 'plain' | 'blocked';
  /** Dims of inputs known to stay as they are, with their batch of 1; the program is then compiled for them. */
  readonly dims?: Readonly<Record<ValueName, readonly (number | string)[]>>;
}

/**
 * Compiles "gradients along a straight path": for each step the features are baseline + alpha (input - baseline), the
 * model runs on all steps as one batch, the reverse pass follows, and the weighted sum over steps and the reduction
 * over the hidden axis happen inside the graph. Only [1, ...] scores shaped like the input come out.
 * Saliency and input x gradient are the same program with one step at alpha 1.
 * Inputs have a batch of 1; the program repeats them for the steps.
 */
export function compilePath(given: Model, request: PathRequest): Model {
  const model = foldPadding(normalizeModel(given, { dims: request.dims ?? {} }));
  const { graph } = model;
  const output = graph.outputs.find(({ name }) => name === request.output);
  if (output === undefined)
    throw new UserError(
      `the model has no output "${request.output}"; it has ${graph.outputs.map(({ name }) => `"${name}"`).join(', ')}`,
    );
  const b = new GraphBuilder({
    ...model,
    graph: { ...graph, nodes: [], outputs: [], inputs: [...graph.inputs], valueInfos: new Map() },
  });
  const alphas = b.addInput({ name: PROGRAM.alphas, type: 'float32', dims: ['steps'] });
  const weights = b.addInput({ name: PROGRAM.weights, type: 'float32', dims: ['steps'] });
  const steps = b.shape(alphas);

  const renamed = new Map<ValueName, ValueName>();
  const paths = request.features.map((feature) => layPath(b, model, feature, request.baseline, alphas));
  for (const path of paths) renamed.set(path.feature.value, path.point);
  for (const info of graph.inputs) if (!renamed.has(info.name)) renamed.set(info.name, repeatRows(b, info.name, steps));

  const points = new Set(paths.map(({ feature }) => feature.value));
  for (const node of graph.nodes) {
    // The embedding itself is not computed again: the point on the path stands in its place.
    if (node.outputs.some((name) => points.has(name))) continue;
    b.push({ ...node, inputs: node.inputs.map((name) => renamed.get(name) ?? name) });
  }

  const result = request.output;
  if (b.facts(result) !== undefined && !isFloat(b.type(result)))
    throw new UserError(
      `output "${result}" is of type ${b.type(result)}: only floating-point outputs can be explained`,
    );
  const resultDims = b.dims(result);
  const target = b.addInput({
    name: PROGRAM.target,
    type: b.type(result),
    dims: resultDims && [1, ...resultDims.slice(1)],
  });
  const axes = Array.from({ length: b.rank(result) - 1 }, (_, index) => index + 1);
  const values = b.sum(b.mul(result, target), axes, false);
  const seed = b.op('Expand', [target, b.shape(result)], {}, { dims: resultDims });
  const gradients = appendGradients(b, {
    of: result,
    wrt: paths.map(({ point }) => point),
    seed,
    rules: request.rules === 'blocked' ? BLOCKED_RULES : GRADIENT_RULES,
  });

  b.addOutput(result, PROGRAM.output);
  b.addOutput(values, PROGRAM.values);
  for (const { feature, point, difference } of paths) {
    const summed = sumOverSteps(b, gradients.get(point)!, weights, difference);
    b.addOutput(reduce(b, summed, difference, feature, request.reduction), PROGRAM.scores(feature.input));
  }
  return pruneModel(b.build());
}

interface Path {
  readonly feature: Feature;
  /** The value on the path at each step: [steps, ...]. */
  readonly point: ValueName;
  /** input - baseline: [1, ...]. */
  readonly difference: ValueName;
}

function layPath(
  b: GraphBuilder,
  model: Model,
  feature: Feature,
  baseline: PathRequest['baseline'],
  alphas: ValueName,
): Path {
  const info = model.graph.inputs.find(({ name }) => name === feature.input)!;
  const end = feature.kind === 'elements' ? feature.input : copyUpstream(b, model, feature.value, new Map());
  let start: ValueName | undefined;
  if (baseline === 'given') {
    const given = b.addInput({ name: PROGRAM.baseline(feature.input), type: info.type, dims: info.dims });
    start =
      feature.kind === 'elements' ? given : copyUpstream(b, model, feature.value, new Map([[feature.input, given]]));
  }
  const difference = start === undefined ? end : b.sub(end, start);
  const position = b.unsqueeze(
    b.cast(alphas, b.type(end)),
    Array.from({ length: b.rank(end) - 1 }, (_, index) => index + 1),
  );
  const moved = b.mul(position, difference);
  return { feature, difference, point: start === undefined ? moved : b.add(start, moved) };
}

/** Appends copies of the nodes a value depends on, under new names, with some inputs replaced. */
function copyUpstream(b: GraphBuilder, model: Model, value: ValueName, renamed: Map<ValueName, ValueName>): ValueName {
  const needed = new Set([value]);
  const nodes: Node[] = [];
  for (const node of model.graph.nodes.toReversed())
    if (node.outputs.some((name) => needed.has(name))) {
      nodes.unshift(node);
      for (const name of node.inputs) needed.add(name);
    }
  for (const node of nodes) {
    const inputs = node.inputs.map((name) => renamed.get(name) ?? name);
    const outputs = node.outputs.map((name) => {
      if (name !== '') renamed.set(name, b.unusedName(`onnxray/copy/${name}`));
      return renamed.get(name) ?? '';
    });
    b.push({ ...node, name: b.unusedName(`onnxray/copy/${node.name}`), inputs, outputs });
  }
  return renamed.get(value) ?? value;
}

/** [1, ...] repeated to [steps, ...]. */
function repeatRows(b: GraphBuilder, input: ValueName, steps: ValueName): ValueName {
  const rank = b.rank(input);
  // A flag, such as a merged decoder's use_cache_branch, has no batch.
  if (rank === 0 || (rank === 1 && b.type(input) === 'bool')) return input;
  const rest = Array.from({ length: rank - 1 }, (_, index) => b.dimension(input, index + 1));
  return b.op('Expand', [input, b.concat([steps, ...rest], 0)], {}, { dims: ['steps', ...b.dims(input)!.slice(1)] });
}

/** sum_s w_s G_s as one matrix product, in the shape of `like` [1, ...]. */
function sumOverSteps(b: GraphBuilder, gradient: ValueName, weights: ValueName, like: ValueName): ValueName {
  const row = b.unsqueeze(b.cast(weights, b.type(gradient)), [0]);
  const flat = b.op('Flatten', [gradient], { axis: int(1) });
  return b.reshape(b.matmul(row, flat), b.shape(like), b.dims(like));
}

function reduce(
  b: GraphBuilder,
  summed: ValueName,
  difference: ValueName,
  feature: Feature,
  reduction: Reduction,
): ValueName {
  const hidden = [b.rank(summed) - 1];
  const tokens = feature.kind === 'tokens';
  if (reduction === 'magnitude') return tokens ? b.sqrt(b.sum(b.square(summed), hidden, false)) : b.abs(summed);
  const scores = reduction === 'signed' ? summed : b.mul(summed, difference);
  return tokens ? b.sum(scores, hidden, false) : scores;
}
