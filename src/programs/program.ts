import { appendGradients, carriesRelevance, prepareFor, ruleTable } from '../autodiff/index.ts';
import { widenPorts } from './half.ts';
import type { RuleSetSpec } from '../autodiff/index.ts';
import {
  GraphBuilder,
  UserError,
  foldPadding,
  inferGraph,
  isFloat,
  lowerForWebGpu,
  narrowToRead,
  normalizeModel,
  opsetOf,
  pruneModel,
} from '../onnx/index.ts';
import type { DataType, Model, Node, ValueName } from '../onnx/index.ts';
import { appendAttentionMaps, attentionValues } from './attention-maps.ts';
import { appendFullGradient } from './full-gradient.ts';
import { appendMap } from './maps.ts';
import { reduceRows, sumRows } from './reduce.ts';
import type { BackwardRequest, ProgramRequest } from './request.ts';
import { appendReading, readBeside } from './reading.ts';
import { PROGRAM } from './names.ts';
import { computeCases } from './binary-masks.ts';
import type { Laid } from './rows.ts';
import { addRowInputs, hasNoRows, layRows, repeatRows } from './rows.ts';
import { copyNodes, copyUpstream } from './copies.ts';

const GRADIENT: RuleSetSpec = { set: 'gradient' };
const BLOCKED: RuleSetSpec = { set: 'blocked' };

/**
 * Compiles an explanation into the model: its features vary over rows (positions on the path from baseline to input,
 * masks, or given points), the model runs on all rows as one batch, and with `backward` the reverse pass by some set of
 * rules follows; the weighted sum over rows and the reduction over the hidden axis happen inside the graph, so that only
 * scores shaped like the input come out. Saliency is the program with one row at alpha 1.
 * Inputs have a batch of 1; the program repeats them for the rows.
 */
export function compileProgram(given: Model, request: ProgramRequest, build?: BuildTarget): Model {
  const rules = request.backward?.rules ?? (request.layout === 'blocked' ? BLOCKED : GRADIENT);
  const layer = request.backward?.at?.layer.value;
  const own = [...request.features, ...request.inputs].map(({ value }) => value);
  const asking = [request.output, ...(request.alongside ?? [])];
  const kept = [...own, ...asking, ...(layer === undefined ? [] : [layer]), ...(request.capture ?? [])];
  if (request.map !== undefined) kept.push(request.map.layer.value);
  if (request.attention !== undefined) kept.push(...attentionValues(request.attention));
  kept.push(...readBeside(request.reading));
  const dims = Object.entries(request.dims ?? {}).map(([name, own]) => [name, ofRows(given, name, own)] as const);
  const prepared = narrowToRead(foldPadding(normalizeModel(given, { dims: Object.fromEntries(dims) })), kept);
  // Gradients in masks or at a layer are taken by the plain rules.
  const inRows = request.backward !== undefined && layer === undefined && !['masks', 'channels'].includes(request.rows);
  const model = withOneRow(prepareFor(rules, prepared, kept, inRows ? own : []), request.dims ?? {});
  const { graph } = model;
  const b = new GraphBuilder({
    ...model,
    graph: { ...graph, nodes: [], outputs: [], inputs: [...graph.inputs], valueInfos: new Map() },
  });
  b.reserve(graph.nodes);
  const rows = addRowInputs(b, request, precision(model, request));
  const laid = layRows(b, model, request, rows);

  const renamed = new Map<ValueName, ValueName>(laid.map(({ feature, point }) => [feature.value, point]));
  for (const { cases } of laid)
    if (cases !== undefined)
      for (const [value, picked] of computeCases(b, model, cases, asking)) renamed.set(value, picked);
  for (const info of graph.inputs)
    if (!renamed.has(info.name)) renamed.set(info.name, repeatRows(b, info.name, rows.count));
  // What stands in a point's place is not computed again: an embedding, a layer.
  const points = new Set(renamed.keys());
  const forward = graph.nodes
    .filter((node) => !node.outputs.some((name) => points.has(name)))
    .map((node) => withInputs(node, renamed));
  for (const node of forward) b.push(node);

  const asked = renamed.get(request.output) ?? request.output;
  const facts = b.facts(asked);
  if (facts === undefined && b.producer(asked) === undefined)
    throw new UserError(
      `the model has no output "${request.output}"; it has ${graph.outputs.map(({ name }) => `"${name}"`).join(', ')}`,
    );
  if (facts !== undefined && !isFloat(facts.type))
    throw new UserError(
      `output "${request.output}" is of type ${facts.type}: only floating-point values can be explained`,
    );
  const declared = graph.outputs.find(({ name }) => name === request.output)?.dims;
  const result =
    request.unbatched === true
      ? b.op('Unsqueeze', [asked, b.int64s([0])], {}, { dims: declared && [1, ...declared] })
      : request.reading === undefined
        ? asked
        : appendReading(b, asked, request.reading, renamed);
  const before = b.nodes().length;
  const beside = (request.alongside ?? []).map((name) => renamed.get(name) ?? name);
  const explained = expressed(b, [result, ...beside], request.expression, build);
  // What rules compare with a run on the baseline is part of that run too.
  const made = b.nodes().slice(before);
  const answered = b.dims(explained);
  const target = b.addInput({
    name: PROGRAM.target,
    type: b.type(explained),
    dims: answered && [1, ...answered.slice(1)],
  });
  const weighted = b.mul(explained, target);
  b.addOutput(result, PROGRAM.output);
  b.addOutput(targetValues(b, explained), PROGRAM.values);
  for (const name of request.capture ?? []) {
    const value = renamed.get(name) ?? name;
    b.addOutput(isFloat(b.type(value)) ? value : b.cast(value, 'float32'), PROGRAM.captured(name));
  }
  appendMaps(b, request, { result: explained, target, rules, renamed });
  if (request.backward !== undefined) {
    // Relevance starts as the answer itself, gradients as the target's weights.
    const seed = carriesRelevance(rules)
      ? weighted
      : b.op('Expand', [target, b.shape(explained)], {}, { dims: b.dims(explained) });
    const run = [...forward, ...made];
    appendBackward({ b, model, backward: request.backward, rules, laid, forward: run, result: explained, seed, rows });
  }
  const program = widenPorts(pruneModel(b.build()));
  return request.layout === 'webgpu' ? lowerForWebGpu(program) : program;
}

/**
 * Appends what is made of an output before its elements are weighted: [rows, ...] to [rows, ...]. After the output come
 * those that the target names alongside it.
 */
export type BuildTarget = (b: GraphBuilder, ...outputs: [ValueName, ...ValueName[]]) => ValueName;

function expressed(
  b: GraphBuilder,
  outputs: [ValueName, ...ValueName[]],
  expression: string | undefined,
  build: BuildTarget | undefined,
): ValueName {
  if (expression === undefined) return outputs[0];
  if (build !== undefined) return build(b, ...outputs);
  return appendProbabilities(b, outputs[0], expression === 'probability');
}

/** Appends the probabilities, or their logarithms, that a softmax over the last axis makes of an output [rows, ..., classes]. */
export function appendProbabilities(b: GraphBuilder, output: ValueName, plain: boolean): ValueName {
  if (b.rank(output) < 2) throw new UserError('probabilities need an output with an axis of classes');
  const axis = b.rank(output) - 1;
  if (plain) return b.softmax(output, axis);
  const centred = b.sub(output, b.max(output, [axis]));
  return b.sub(centred, b.log(b.sum(b.exp(centred), [axis])));
}

/** The type of positions on a path and of weights: that of the model where it is float64. */
function precision(model: Model, { features }: ProgramRequest): DataType {
  const facts = inferGraph(model.graph, opsetOf(model));
  return features.some(({ value }) => facts.get(value)?.type === 'float64') ? 'float64' : 'float32';
}

/** The target's value in each row of an output: [rows]. */
function targetValues(b: GraphBuilder, output: ValueName): ValueName {
  const axes = Array.from({ length: b.rank(output) - 1 }, (_, index) => index + 1);
  return b.sum(b.mul(output, PROGRAM.target), axes, false);
}

/** The map a request asks for, of every row. */
function appendMaps(
  b: GraphBuilder,
  { map, fullGradient, attention }: ProgramRequest,
  scene: {
    readonly result: ValueName;
    readonly target: ValueName;
    readonly rules: RuleSetSpec;
    readonly renamed: ReadonlyMap<ValueName, ValueName>;
  },
): void {
  if (attention !== undefined) {
    const { result, target } = scene;
    const seed = b.op('Expand', [target, b.shape(result)], {}, { dims: b.dims(result) });
    const wrt = attentionValues(attention);
    const rules = ruleTable(scene.rules, { b, of: result, wrt, reference: (name) => name });
    appendAttentionMaps(b, attention, { result, target, seed, rules });
  }
  const at = map?.layer.value ?? fullGradient?.picture.value;
  if (at === undefined) return;
  const { result, target, renamed } = scene;
  const point = renamed.get(at) ?? at;
  const seed = b.op('Expand', [target, b.shape(result)], {}, { dims: b.dims(result) });
  // Rules that suit the provider have no second derivatives that do.
  const rules = map?.form === 'shapley-cam' ? GRADIENT : scene.rules;
  const table = ruleTable(rules, { b, of: result, wrt: [point], reference: (name) => name });
  if (map !== undefined) appendMap(b, map, { point, result, seed, rules: table });
  if (fullGradient !== undefined) appendFullGradient(b, fullGradient, { point, result, seed, rules: table });
}

/** Dims of an input as the model sees it: its batch is the rows. Shape arithmetic must not be folded for one of them. */
function ofRows(model: Model, name: ValueName, dims: readonly (number | string)[]): readonly (number | string)[] {
  const type = model.graph.inputs.find((info) => info.name === name)?.type;
  return type === undefined || hasNoRows(type, dims.length) ? dims : ['rows', ...dims.slice(1)];
}

/** The model with inputs as the program takes them: one row. */
function withOneRow(model: Model, dims: NonNullable<ProgramRequest['dims']>): Model {
  const inputs = model.graph.inputs.map((info) => ({ ...info, dims: dims[info.name] ?? info.dims }));
  return { ...model, graph: { ...model.graph, inputs } };
}

function withInputs(node: Node, renamed: ReadonlyMap<ValueName, ValueName>): Node {
  return { ...node, inputs: node.inputs.map((name) => renamed.get(name) ?? name) };
}

interface Stage {
  readonly b: GraphBuilder;
  readonly model: Model;
  readonly backward: BackwardRequest;
  readonly rules: RuleSetSpec;
  readonly laid: readonly Laid[];
  /** The model's nodes as they run on the rows. */
  readonly forward: readonly Node[];
  readonly result: ValueName;
  readonly seed: ValueName;
  readonly rows: ReturnType<typeof addRowInputs>;
}

function appendBackward(stage: Stage): void {
  const { b, backward, rules, laid, result, seed, rows } = stage;
  if (backward.at !== undefined) return appendAtLayer(stage, backward.at);
  if (rows.masks !== undefined) {
    const gradients = appendGradients(b, { of: result, wrt: [rows.masks], seed });
    b.addOutput(gradients.get(rows.masks)!, PROGRAM.maskGradients);
    return;
  }
  const wrt = laid.map(({ point }) => point);
  const reference = lazyReference(stage);
  const table = ruleTable(rules, { b, of: result, wrt, reference });
  if (rules.set === 'deep-lift') b.addOutput(targetValues(b, reference(result)), PROGRAM.baselineValues);
  const first = appendGradients(b, { of: result, wrt, seed, rules: table });
  const gradients = backward.pairs === true ? secondGradients(b, laid, first) : first;
  const weights = rowWeights(b, rows.type);
  const parts = laid.map(({ feature, point, difference }) => ({
    feature,
    gradient: gradients.get(point)!,
    difference,
  }));
  const totals = backward.reduction === 'square-share' ? totalSquares(b, parts) : undefined;
  for (const { feature, gradient, difference } of parts) {
    const { sum, spread } = reduceRows(b, {
      gradient: totals === undefined ? gradient : b.div(b.square(gradient), totals(gradient)),
      difference,
      weights,
      hidden: feature.kind === 'tokens',
      reduction: totals === undefined ? backward.reduction : 'signed',
      spread: backward.spread === true,
    });
    b.addOutput(sum, PROGRAM.scores(feature.input));
    if (spread !== undefined) b.addOutput(spread, PROGRAM.spread(feature.input));
  }
}

/** d / d point of sum direction * difference * gradient, the difference held constant. */
function secondGradients(
  b: GraphBuilder,
  laid: readonly Laid[],
  first: ReadonlyMap<ValueName, ValueName>,
): ReadonlyMap<ValueName, ValueName> {
  const picked = laid.map(({ feature, point, difference }) => {
    const hidden = feature.kind === 'tokens' ? 1 : 0;
    const shaped = b.dims(point)?.slice(1, b.rank(point) - hidden);
    const direction = b.addInput({
      name: PROGRAM.direction(feature.input),
      type: b.type(point),
      dims: ['rows', ...(shaped ?? [])],
    });
    const weight = hidden === 1 ? b.unsqueeze(direction, [b.rank(point) - 1]) : direction;
    const axes = Array.from({ length: b.rank(point) - 1 }, (_, index) => index + 1);
    return b.sum(b.mul(b.mul(first.get(point)!, difference), weight), axes, false);
  });
  const total = picked.reduce((left, right) => b.add(left, right));
  return appendGradients(b, { of: total, wrt: laid.map(({ point }) => point), seed: b.onesLike(total) });
}

/** The gradient at a layer, while rows vary in the inputs. */
function appendAtLayer(stage: Stage, { layer, form }: NonNullable<BackwardRequest['at']>): void {
  const { b, model, laid, result, seed, rows } = stage;
  const weights = rowWeights(b, rows.type);
  const gradient = appendGradients(b, { of: result, wrt: [layer.value], seed }).get(layer.value)!;
  if (form === 'influence') {
    b.addOutput(sumRows(b, gradient, weights), PROGRAM.scores(layer.input));
  } else if (form === 'conductance') {
    const next = b.addInput({ name: PROGRAM.nextAlphas, type: rows.type, dims: ['rows'] });
    const moved = new Map<ValueName, ValueName>();
    for (const { feature, start, difference } of laid) {
      const axes = Array.from({ length: b.rank(difference) - 1 }, (_, index) => index + 1);
      const step = b.mul(b.unsqueeze(b.cast(next, b.type(difference)), axes), difference);
      moved.set(feature.value, start === undefined ? step : b.add(start, step));
    }
    for (const info of model.graph.inputs)
      if (!moved.has(info.name)) moved.set(info.name, repeatRows(b, info.name, stage.rows.count));
    const after = copyUpstream(b, model, layer.value, moved);
    const change = b.mul(gradient, b.sub(after, layer.value));
    b.addOutput(sumRows(b, change, weights), PROGRAM.scores(layer.input));
  } else {
    const dims = b.dims(layer.value);
    const neuron = b.addInput({
      name: PROGRAM.neuron,
      type: b.type(layer.value),
      dims: dims && [1, ...dims.slice(1)],
    });
    const through = b.mul(gradient, neuron);
    const wrt = laid.map(({ point }) => point);
    const gradients = appendGradients(b, { of: layer.value, wrt, seed: through });
    for (const { feature, point, difference } of laid) {
      const { sum } = reduceRows(b, {
        gradient: gradients.get(point)!,
        difference,
        weights,
        hidden: feature.kind === 'tokens',
        reduction: 'times-difference',
        spread: false,
      });
      b.addOutput(sum, PROGRAM.scores(feature.input));
    }
  }
}

function rowWeights(b: GraphBuilder, type: DataType): ValueName {
  return b.facts(PROGRAM.weights) === undefined
    ? b.addInput({ name: PROGRAM.weights, type, dims: ['rows'] })
    : PROGRAM.weights;
}

/**
 * The model on the baselines, as a second copy of all nodes that depend on a point; made when a rule first asks.
 * Gives each value's counterpart.
 */
function lazyReference({ b, laid, forward }: Stage): (value: ValueName) => ValueName {
  let copied: ReadonlyMap<ValueName, ValueName> | undefined;
  return (value) => {
    if (copied === undefined) {
      const starts = new Map<ValueName, ValueName>(
        laid.map(({ point, start }) => [point, start === undefined ? b.zerosLike(point) : b.expandLike(start, point)]),
      );
      const moving = new Set(starts.keys());
      const nodes = forward.filter((node) => {
        if (!node.inputs.some((name) => moving.has(name))) return false;
        for (const name of node.outputs) moving.add(name);
        return true;
      });
      copied = copyNodes(b, nodes, starts);
    }
    return copied.get(value) ?? value;
  };
}

/** Sum over all features of the squared gradients, by row, shaped to divide one of them. */
function totalSquares(
  b: GraphBuilder,
  parts: readonly { readonly gradient: ValueName }[],
): (like: ValueName) => ValueName {
  const sums = parts.map(({ gradient }) => {
    const axes = Array.from({ length: b.rank(gradient) - 1 }, (_, index) => index + 1);
    return b.sum(b.square(gradient), axes, false);
  });
  const total = b.add(
    sums.reduce((left, right) => b.add(left, right)),
    b.scalar(1e-30, sums[0]!),
  );
  return (like) =>
    b.unsqueeze(
      total,
      Array.from({ length: b.rank(like) - 1 }, (_, index) => index + 1),
    );
}
