import { UsageError, UserError, foldPadding, normalizeModel, remembered, weightTensor } from '../onnx/index.ts';
import type { DenseTensor, Layer, Model, NamedTensors, ValueInfo } from '../onnx/index.ts';
import type { ModelHost, Provider } from '../runtime/core.ts';
import { targetWeights } from '../tasks/core.ts';
import type { Explanation, TargetRef } from '../explanation/index.ts';
import { sumOfScores } from '../explanation/index.ts';
import {
  ProgramRunner,
  answersAlike,
  chooseOutput,
  findFeatures,
  findLayer,
  layerFeature,
  numbers,
  originalAnswer,
  readOptions,
} from '../programs/index.ts';
import type {
  Attribution,
  AttributionContext,
  BuildTarget,
  DetectionAim,
  Feature,
  Method,
  Modality,
  OptionValue,
  ProgramPlan,
  ProgramRequest,
  Reading,
} from '../programs/index.ts';
import { findMethod } from './methods/index.ts';

export interface AttributeRequest {
  /** The model's inputs, with a batch of 1. */
  readonly inputs: NamedTensors;
  /** A method, or the name of one of this room's; `integrated-gradients` unless said. */
  readonly method?: string | Method;
  /** Options of the method; what is left out has its default. */
  readonly options?: Readonly<Record<string, OptionValue>>;
  /** The output to explain; the model's first floating-point output unless said. */
  readonly output?: string;
  /** What to explain about the output: given, chosen when the answer is known, weights of its elements, or made of it. */
  readonly target: TargetRef | ((answer: DenseTensor) => TargetRef | WeightedTarget) | WeightedTarget | BuiltTarget;
  /** The scale of a target that is chosen when the answer is known; a given one says it itself. */
  readonly scale?: TargetRef['scale'];
  /** The output has no batch axis: it is read as that of one input. */
  readonly unbatched?: boolean;
  /** What is read off the output, where not the output itself is explained: how alike a pair is, the mask of an instance. */
  readonly reading?: Reading;
  /** The box that the target belongs to, for methods that look for it in other answers. */
  readonly detection?: DetectionAim;
  /**
   * A layer's path as `listLayers` gives it. Alone: the layer is scored, in its own dims. With `neuron`: that element of
   * the layer is what is explained, in place of the output's target.
   */
  readonly layer?: string;
  /** Index into the layer after the batch axis. */
  readonly neuron?: readonly number[];
  /**
   * What the input is compared with, by input; `zero` (the default) for zeros, of the embedding for tokens. Methods that
   * compare with many baselines take as many rows as there are.
   */
  readonly baseline?: NamedTensors | 'zero';
  /** How the baseline is called in the explanation's options. */
  readonly baselineName?: string;
  /** What the input is; `tensors` unless said. */
  readonly modality?: Modality;
  /** Feature mask: group of each element, int64, by input; methods that perturb treat a group as one. */
  readonly groups?: NamedTensors;
  /** Of what has chance in it. Default 0. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Called as rows go through the model, with the rows done and to do in the present step. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Bytes that the activations of one run may take. Default 1 GiB. */
  readonly memoryBudget?: number;
}

/** Any weighted sum of an output's elements, such as the mean over a mask. */
export interface WeightedTarget {
  readonly label: string;
  /** The element it is around, where there is one. */
  readonly indices?: readonly number[];
  /** [1, ...] as the output. */
  readonly weights: DenseTensor;
}

/** Anything the graph can make of an output. */
export interface BuiltTarget {
  readonly label: string;
  /** Programs are cached by it: another function needs another name. */
  readonly name: string;
  /** Other outputs that it is made of. */
  readonly alongside?: readonly string[];
  /** Appends nodes that make [rows, ...] of the output [rows, ...] and those alongside; all elements of a row are summed up. */
  readonly build: BuildTarget;
}

/** An explanation with the answer it explains, for callers that name classes. */
export interface Attributed {
  readonly explanation: Explanation;
  /** The explained output for the input: [1, ...]. */
  readonly answer: DenseTensor;
}

/**
 * Explains one answer of a model by one method. Scores are shaped like the inputs, or like the layer asked for.
 * Throws a UserError for an unknown method, option, output, layer or target, before anything heavy runs, and an abort's
 * reason.
 */
export async function attribute(host: ModelHost, request: AttributeRequest): Promise<Attributed> {
  const method = typeof request.method === 'object' ? request.method : findMethod(request.method);
  const options = readOptions(method.name, method.options, request.options ?? {});
  const started = performance.now();
  const scene = new Scene(host, request, method);
  const attribution = await method.attribute(scene, options);
  checkFinite(attribution);
  const answer = await scene.answer();
  return { explanation: describe(scene, options, attribution, performance.now() - started), answer };
}

/** The rules a program is compiled by, for what it runs on; WASM's kernels have no blocked layout. */
const LAYOUTS: Readonly<Record<Provider, NonNullable<ProgramRequest['layout']>>> = {
  cpu: 'blocked',
  cuda: 'plain',
  wasm: 'plain',
  webgpu: 'webgpu',
};

/** A model with its inputs in some dims: pictures of one size are explained one after another. */
const formed = remembered<Model>();

/** What one call of `attribute` works on: the model's side of an AttributionContext. */
class Scene implements AttributionContext {
  readonly host: ModelHost;
  readonly request: AttributeRequest;
  readonly method: Method;
  /** The value explained: an output, or the layer a neuron is in. */
  readonly output: string;
  readonly own: readonly Feature[];
  readonly features: readonly Feature[];
  readonly layer: Feature | undefined;
  readonly neuron: readonly number[] | undefined;
  readonly inputs: NamedTensors;
  readonly baseline: NamedTensors | 'zero';
  readonly modality: Modality;
  readonly groups: NamedTensors | undefined;
  readonly detection: DetectionAim | undefined;
  readonly seed: number;
  readonly #runners: ProgramRunner[] = [];
  /** Those that answer with another value than the one explained. */
  readonly #others = new Set<ProgramRunner>();
  /** How to get the answer, and the answer where a run was made for it. */
  #ask: (() => Promise<DenseTensor>) | undefined;
  #answer: Promise<DenseTensor> | undefined;
  targetRef: TargetRef | undefined;
  #weights: Promise<DenseTensor> | undefined;
  /** Whether the model answers in float64: so are the scores then. */
  wide = false;
  /** What the programs make of the output first. */
  readonly #expression: string | undefined;

  constructor(host: ModelHost, request: AttributeRequest, method: Method) {
    this.host = host;
    this.request = request;
    this.method = method;
    this.layer = request.layer === undefined ? undefined : featureOf(findLayer(host.model, request.layer));
    checkPlace(method, request);
    const neuronForm = this.layer !== undefined && request.neuron !== undefined && method.layers === 'as-inputs';
    this.output = neuronForm ? this.layer!.value : chooseOutput(host.model, request.output);
    const { target, scale } = request;
    if (isBuilt(target)) this.#expression = `made/${target.name}`;
    else if (typeof target === 'function') this.#expression = scale;
    else if (!isWeighted(target)) this.#expression = target.scale;
    if (neuronForm) this.#expression = undefined;
    this.own = findFeatures(host.model);
    this.features = this.layer !== undefined && !neuronForm && method.layers === 'as-inputs' ? [this.layer] : this.own;
    this.neuron = request.neuron;
    this.inputs = request.inputs;
    this.baseline = method.usesBaseline === false ? 'zero' : (request.baseline ?? 'zero');
    this.modality = request.modality ?? { kind: 'tensors' };
    this.groups = request.groups;
    this.detection = request.detection;
    this.seed = request.seed ?? 0;
    if (method.usesBaseline !== 'many') checkOneBaseline(method, this.baseline);
  }

  get passes(): number {
    return this.#runners.reduce((sum, { passes }) => sum + passes, 0);
  }

  async open({
    manyBaselines = false,
    groups,
    onInputs = false,
    comparesWithBaseline = this.method.usesBaseline !== false,
    inputPoint,
    features = onInputs ? this.own : this.features,
    output = this.output,
    ...plan
  }: ProgramPlan): Promise<ProgramRunner> {
    const { host, request, own, inputs, baseline } = this;
    const program: ProgramRequest = {
      ...plan,
      output,
      expression: output === this.output ? this.#expression : undefined,
      alongside: output === this.output && isBuilt(request.target) ? request.target.alongside : undefined,
      inputs: own,
      features,
      unbatched: request.unbatched,
      reading: output === this.output && output !== this.layer?.value ? request.reading : undefined,
      baseline: !comparesWithBaseline ? 'none' : baseline === 'zero' ? 'zero' : manyBaselines ? 'rows' : 'given',
      layout: LAYOUTS[host.provider],
      dims: fixedDims(own, inputs, host.model.graph.inputs),
    };
    const runner = await ProgramRunner.open(
      {
        host,
        build: isBuilt(request.target) ? request.target.build : undefined,
        feeds: inputs,
        baseline,
        groups,
        signal: request.signal,
        onProgress: request.onProgress,
        memoryBudget: request.memoryBudget,
      },
      program,
    );
    this.#runners.push(runner);
    const asked = output === this.output;
    if (asked) this.#ask ??= () => runner.answer(inputPoint);
    else this.#others.add(runner);
    if (!(await host.isChecked(program))) {
      const original = host.model.graph.outputs.some(({ name }) => name === output)
        ? await originalAnswer(host, inputs, output, program.reading)
        : undefined;
      const answer = await runner.answer(inputPoint);
      if (original !== undefined && !answersAlike(answer, original)) {
        if (!(await host.leaveProvider('answers differently from the unmodified model')))
          throw new Error(`the compiled program answers differently from the model: output "${output}"`);
        this.#runners.pop();
        this.#ask = undefined;
        const again = { manyBaselines, groups, onInputs, comparesWithBaseline, inputPoint, features, output };
        return this.open({ ...again, ...plan });
      }
      if (asked) this.#answer ??= Promise.resolve(answer);
      await host.rememberChecked(program, { rowsApart: !(await runner.rowsAreIndependent(answer, inputPoint)) });
    }
    if (host.keepsRowsApart(program)) runner.runRowsApart();
    return runner;
  }

  get targetIsKnown(): boolean {
    return typeof this.request.target !== 'function';
  }

  embeddingTable({ value }: Feature): DenseTensor | undefined {
    const { graph } = this.host.model;
    const node = graph.nodes.find(({ outputs }) => outputs.includes(value));
    const weight = node?.operator === 'Gather' ? graph.initializers.get(node.inputs[0]!) : undefined;
    return weight?.type === 'float32' && weight.dims.length === 2 ? weightTensor(weight) : undefined;
  }

  model(): Model {
    const dims = fixedDims(this.own, this.inputs, this.host.model.graph.inputs);
    return formed(this.host.model, JSON.stringify(dims), () => foldPadding(normalizeModel(this.host.model, { dims })));
  }

  target(runner: ProgramRunner): Promise<DenseTensor> {
    this.#weights ??= this.#resolveTarget(runner);
    return this.#weights;
  }

  /** The explained output for the input, [1, ...]: from the rows that were run, or by a run of its own. */
  async answer(): Promise<DenseTensor> {
    if (this.#answer !== undefined) return this.#answer;
    const seen = this.#runners.find((each) => each.answered !== undefined && !this.#others.has(each))?.answered;
    return (this.#answer = seen === undefined ? this.#ask!() : Promise.resolve(seen));
  }

  async #resolveTarget(runner: ProgramRunner): Promise<DenseTensor> {
    const weights = await this.#weightsOf(runner);
    this.wide = weights.type === 'float64';
    return weights;
  }

  async #weightsOf(runner: ProgramRunner): Promise<DenseTensor> {
    const { target } = this.request;
    if (this.output === this.layer?.value && this.request.neuron !== undefined)
      this.targetRef = { label: `${this.layer.input}[${this.request.neuron.join(',')}]`, indices: this.request.neuron };
    else if (isBuilt(target)) {
      this.targetRef = { label: target.label, indices: [] };
      const ones = runner.blankTarget();
      return { ...ones, data: numbers(ones).fill(1) };
    } else {
      const found = typeof target === 'function' ? target(await this.answer()) : target;
      if (isWeighted(found)) {
        this.targetRef = { label: found.label, indices: found.indices ?? [] };
        return fittingWeights(found, runner.answerShape ?? (await this.answer()), this.output);
      }
      this.targetRef = found;
    }
    if (this.targetRef.scale !== this.#expression)
      throw new Error(`the target "${this.targetRef.label}" is on another scale than the request says`);
    // Only where the output's length hangs on the input is a run needed to know it.
    return targetWeights(this.targetRef, runner.answerShape ?? (await this.answer()), this.output, { scaled: true });
  }
}

type TargetRequest = AttributeRequest['target'];
const isBuilt = (target: TargetRequest): target is BuiltTarget => typeof target === 'object' && 'build' in target;
const isWeighted = (target: TargetRef | WeightedTarget): target is WeightedTarget => 'weights' in target;

function fittingWeights(
  { label, weights }: WeightedTarget,
  { type, dims }: Pick<DenseTensor, 'type' | 'dims'>,
  output: string,
): DenseTensor {
  if (weights.dims.join() !== dims.join())
    throw new UserError(
      `the weights of target "${label}" are [${weights.dims.join(', ')}], but output "${output}" is [${dims.join(', ')}]`,
    );
  const given = numbers(weights);
  if (given.every((weight) => weight === 0)) throw new UserError(`the weights of target "${label}" are all zero`);
  return { type, dims, data: type === 'float64' ? Float64Array.from(given) : Float32Array.from(given) };
}

const featureOf = ({ path, output }: Layer): Feature => layerFeature(path, output);

function checkPlace(method: Method, { layer, neuron }: AttributeRequest): void {
  if (neuron !== undefined && layer === undefined) throw new UsageError('--neuron needs --layer');
  if (layer !== undefined && method.layers === 'none') throw new UsageError(`${method.name} does not work at a layer`);
  if (layer === undefined && (method.layers === 'needs-layer' || method.layers === 'needs-neuron'))
    throw new UsageError(`${method.name} needs a layer: --layer PATH`);
  if (neuron === undefined && method.layers === 'needs-neuron')
    throw new UsageError(`${method.name} needs a place in the layer: --neuron INDICES`);
  if (neuron !== undefined && (method.layers === 'needs-layer' || method.layers === 'own-layer'))
    throw new UsageError(`${method.name} scores a whole layer: leave --neuron out`);
}

function checkOneBaseline(method: Method, baseline: NamedTensors | 'zero'): void {
  if (baseline === 'zero') return;
  for (const [name, { dims }] of Object.entries(baseline))
    if (dims.length > 0 && dims[0]! > 1)
      throw new UserError(
        `the baseline of "${name}" has ${dims[0]} rows, but ${method.name} compares with one; expected-gradients and deep-lift-shap take many`,
      );
}

/**
 * Pictures and rows of a table come in one size: programs for them are compiled for it, so that shapes are constants.
 * Texts come in all lengths and share one program.
 */
function fixedDims(
  features: readonly Feature[],
  inputs: NamedTensors,
  declared: readonly ValueInfo[],
): Readonly<Record<string, readonly (number | string)[]>> {
  const tokens = features.some(({ kind }) => kind === 'tokens');
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { dims }]) => {
      // Beside a text too, a picture comes in one size.
      if (!tokens || dims.length === 4) return [name, dims];
      // All but the batch, which is 1: only so is it known that the rows of a program are the batch of what it gives.
      const named = declared.find((info) => info.name === name)?.dims;
      return [name, dims.map((dim, axis) => (axis === 0 ? dim : (named?.[axis] ?? `${name}/${axis}`)))];
    }),
  );
}

function checkFinite({ scores, value }: Attribution): void {
  if (!Number.isFinite(value)) throw new UserError(`the model answers ${value} for this input: nothing to explain`);
  for (const [input, { data }] of Object.entries(scores)) {
    const bad = data.findIndex((score) => !Number.isFinite(score));
    if (bad >= 0)
      throw new UserError(
        `the gradient at input "${input}" is not finite (element ${bad}): the model divides by zero or overflows on the way`,
      );
  }
}

/** Nothing reacts to nothing: a person should know that this is not what a lack of influence looks like. */
function allZero(scores: Attribution['scores']): readonly string[] {
  return Object.values(scores).every(({ data }) => data.every((score) => score === 0))
    ? [
        'all scores are zero: the answer does not react to the input here, as where a softmax or sigmoid is saturated; explain the values before it, or another target or baseline',
      ]
    : [];
}

/** Scores of a model that does not compute in float64 hold no more than float32 says. */
function inFloat32(scores: Attribution['scores']): Attribution['scores'] {
  return Object.fromEntries(
    Object.entries(scores).map(([input, { dims, data }]) => [input, { dims, data: Float32Array.from(data) }]),
  );
}

function describe(
  { host, request, method, output, targetRef, passes, wide }: Scene,
  options: Readonly<Record<string, OptionValue>>,
  { scores: exact, value, baselineValue, sumsTo, found = {}, warnings = [], comparesWithBaseline }: Attribution,
  ms: number,
): Explanation {
  const scores = wide ? exact : inFloat32(exact);
  const baseline =
    request.baselineName ?? (request.baseline === undefined || request.baseline === 'zero' ? 'zero' : 'given');
  const total = sumsTo === null ? undefined : value - (sumsTo === 'value' ? 0 : (baselineValue ?? 0));
  return {
    method: method.name,
    options: {
      ...options,
      ...found,
      ...(method.usesBaseline === false || comparesWithBaseline === false ? {} : { baseline }),
      ...(request.layer === undefined ? {} : { layer: request.layer }),
      ...(request.neuron === undefined ? {} : { neuron: request.neuron.join(',') }),
    },
    model: { path: host.path, sha256: host.sha256 },
    output,
    target: targetRef!,
    value,
    baselineValue,
    convergenceDelta: total === undefined ? null : sumOfScores(scores) - total,
    attributions: scores,
    warnings: [...host.notes, ...warnings, ...allZero(scores)],
    runtime: {
      provider: host.provider,
      threads: host.threads,
      ms,
      passes,
      versions: host.versions,
    },
  };
}
