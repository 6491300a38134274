import { UsageError, UserError, isFloat, listLayers, sizeOf, weightTensor } from '../onnx/index.ts';
import type { DenseTensor, NamedTensors, ValueInfo } from '../onnx/index.ts';
import type { ModelHost, Provider } from '../runtime/core.ts';
import type { Explanation, TargetRef } from '../explanation/index.ts';
import { sumOfScores } from '../explanation/index.ts';
import { ProgramRunner, findFeatures, layerFeature, numbers, readOptions, sameNumbers } from '../programs/index.ts';
import type {
  Attribution,
  AttributionContext,
  Feature,
  Method,
  Modality,
  OptionValue,
  ProgramPlan,
  ProgramRequest,
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
  /** What to explain about the output: given, or chosen when the answer is known. */
  readonly target: TargetRef | ((answer: DenseTensor) => TargetRef);
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
  return {
    explanation: describe(scene, options, attribution, performance.now() - started),
    answer: scene.answer!,
  };
}

/** The rules a program is compiled by, for what it runs on; WASM's kernels have no blocked layout. */
const LAYOUTS: Readonly<Record<Provider, NonNullable<ProgramRequest['layout']>>> = {
  cpu: 'blocked',
  cuda: 'plain',
  wasm: 'plain',
  webgpu: 'webgpu',
};

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
  readonly seed: number;
  readonly #runners: ProgramRunner[] = [];
  answer: DenseTensor | undefined;
  targetRef: TargetRef | undefined;
  #weights: Promise<DenseTensor> | undefined;

  constructor(host: ModelHost, request: AttributeRequest, method: Method) {
    this.host = host;
    this.request = request;
    this.method = method;
    this.layer = request.layer === undefined ? undefined : findLayer(host, request.layer);
    checkPlace(method, request);
    const neuronForm = this.layer !== undefined && request.neuron !== undefined && method.layers === 'as-inputs';
    this.output = neuronForm ? this.layer!.value : chooseOutput(host, request.output);
    this.own = findFeatures(host.model);
    this.features = this.layer !== undefined && !neuronForm && method.layers === 'as-inputs' ? [this.layer] : this.own;
    this.neuron = request.neuron;
    this.inputs = request.inputs;
    this.baseline = method.usesBaseline === false ? 'zero' : (request.baseline ?? 'zero');
    this.modality = request.modality ?? { kind: 'tensors' };
    this.groups = request.groups;
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
    inputPoint,
    ...plan
  }: ProgramPlan): Promise<ProgramRunner> {
    const { host, request, output, own, inputs, baseline } = this;
    const program: ProgramRequest = {
      ...plan,
      output,
      inputs: own,
      features: onInputs ? own : this.features,
      baseline:
        this.method.usesBaseline === false ? 'none' : baseline === 'zero' ? 'zero' : manyBaselines ? 'rows' : 'given',
      layout: LAYOUTS[host.provider],
      dims: fixedDims(own, inputs, host.model.graph.inputs),
    };
    const runner = await ProgramRunner.open(
      {
        host,
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
    if (this.answer === undefined || !(await host.isChecked(program))) {
      const answer = await runner.answer(inputPoint);
      this.answer ??= answer;
      if (!(await host.isChecked(program))) {
        if (
          host.model.graph.outputs.some(({ name }) => name === output) &&
          !(await answersLikeOriginal(host, inputs, output, answer))
        ) {
          if (!(await host.leaveProvider('answers differently from the unmodified model')))
            throw new Error(`the compiled program answers differently from the model: output "${output}"`);
          this.answer = undefined;
          return this.open({ manyBaselines, groups, onInputs, inputPoint, ...plan });
        }
        await host.rememberChecked(program, { rowsApart: !(await runner.rowsAreIndependent(answer, inputPoint)) });
      }
    }
    if (host.keepsRowsApart(program)) runner.runRowsApart();
    return runner;
  }

  embeddingTable({ value }: Feature): DenseTensor | undefined {
    const { graph } = this.host.model;
    const node = graph.nodes.find(({ outputs }) => outputs.includes(value));
    const weight = node?.operator === 'Gather' ? graph.initializers.get(node.inputs[0]!) : undefined;
    return weight?.type === 'float32' && weight.dims.length === 2 ? weightTensor(weight) : undefined;
  }

  target(runner: ProgramRunner): Promise<DenseTensor> {
    this.#weights ??= this.#resolveTarget(runner);
    return this.#weights;
  }

  async #resolveTarget(runner: ProgramRunner): Promise<DenseTensor> {
    const answer = (this.answer ??= await runner.answer());
    const { target } = this.request;
    if (this.output === this.layer?.value && this.request.neuron !== undefined)
      this.targetRef = { label: `${this.layer.input}[${this.request.neuron.join(',')}]`, indices: this.request.neuron };
    else this.targetRef = typeof target === 'function' ? target(answer) : target;
    return targetWeights(this.targetRef, answer, this.output);
  }
}

function findLayer(host: ModelHost, path: string): Feature {
  const layers = listLayers(host.model);
  const layer = layers.find((each) => each.path === path) ?? layers.find(({ output }) => output === path);
  if (layer === undefined) {
    const near = layers.filter((each) => each.path.includes(path)).slice(0, 3);
    const hint = near.length === 0 ? '' : `; did you mean ${near.map((each) => `"${each.path}"`).join(', ')}?`;
    throw new UserError(`the model has no layer "${path}"${hint || '; "onnxray inspect" lists them'}`);
  }
  return layerFeature(layer.path, layer.output);
}

function checkPlace(method: Method, { layer, neuron }: AttributeRequest): void {
  if (neuron !== undefined && layer === undefined) throw new UsageError('--neuron needs --layer');
  if (layer !== undefined && method.layers === 'none') throw new UsageError(`${method.name} does not work at a layer`);
  if (layer === undefined && (method.layers === 'needs-layer' || method.layers === 'needs-neuron'))
    throw new UsageError(`${method.name} needs a layer: --layer PATH`);
  if (neuron === undefined && method.layers === 'needs-neuron')
    throw new UsageError(`${method.name} needs a place in the layer: --neuron INDICES`);
  if (neuron !== undefined && method.layers === 'needs-layer')
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

function chooseOutput(host: ModelHost, name: string | undefined): string {
  const { outputs, otherTypes } = host.model.graph;
  const usable = outputs.filter((info) => isFloat(info.type) && !otherTypes.has(info.name));
  const names = usable.map((info) => `"${info.name}"`).join(', ');
  if (name === undefined) {
    if (usable.length === 0) throw new UserError('the model has no floating-point output to explain');
    return usable[0]!.name;
  }
  if (!outputs.some((info) => info.name === name))
    throw new UserError(`the model has no output "${name}"; it has ${names}`);
  if (!usable.some((info) => info.name === name))
    throw new UserError(
      `output "${name}" is not a floating-point tensor and cannot be explained; choose one of ${names}`,
    );
  return name;
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
      if (!tokens) return [name, dims];
      // All but the batch, which is 1: only so is it known that the rows of a program are the batch of what it gives.
      const named = declared.find((info) => info.name === name)?.dims;
      return [name, dims.map((dim, axis) => (axis === 0 ? dim : (named?.[axis] ?? `${name}/${axis}`)))];
    }),
  );
}

/** The first time a program is used its answer is compared with that of the unmodified model. */
async function answersLikeOriginal(
  host: ModelHost,
  feeds: NamedTensors,
  output: string,
  answer: DenseTensor,
): Promise<boolean> {
  const session = await host.openOriginal();
  try {
    const known = Object.fromEntries(Object.entries(feeds).filter(([name]) => session.inputNames.includes(name)));
    const original = (await session.run(known, { outputs: [output] }))[output]!;
    const tolerance = original.type === 'float32' || original.type === 'float64' ? 1e-3 : 1e-2;
    return sameNumbers(numbers(answer), numbers(original), tolerance);
  } finally {
    await session.release();
  }
}

/** One at the target's place of an output [1, ...], minus one at the place it is compared with. */
function targetWeights({ indices, minus }: TargetRef, answer: DenseTensor, output: string): DenseTensor {
  const dims = answer.dims.slice(1);
  const data = answer.type === 'float64' ? new Float64Array(sizeOf(dims)) : new Float32Array(sizeOf(dims));
  data[flatIndex(indices, dims, output)]! += 1;
  if (minus !== undefined) data[flatIndex(minus, dims, output)]! -= 1;
  return { type: answer.type, dims: [1, ...dims], data };
}

function flatIndex(indices: readonly number[], dims: readonly number[], output: string): number {
  const inside =
    indices.length === dims.length &&
    indices.every((index, axis) => Number.isInteger(index) && index >= 0 && index < dims[axis]!);
  if (!inside)
    throw new UserError(
      `target ${indices.join(',')} is not in output "${output}", which is ${dims.length === 0 ? 'a single number' : `[${dims.join(', ')}] after the batch axis`}`,
    );
  return indices.reduce((flat, index, axis) => flat * dims[axis]! + index, 0);
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

function describe(
  { host, request, method, output, targetRef, passes }: Scene,
  options: Readonly<Record<string, OptionValue>>,
  { scores, value, baselineValue, sumsTo, found = {}, warnings = [] }: Attribution,
  ms: number,
): Explanation {
  const baseline =
    request.baselineName ?? (request.baseline === undefined || request.baseline === 'zero' ? 'zero' : 'given');
  const total = sumsTo === null ? undefined : value - (sumsTo === 'value' ? 0 : (baselineValue ?? 0));
  return {
    method: method.name,
    options: {
      ...options,
      ...found,
      ...(method.usesBaseline === false ? {} : { baseline }),
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
    warnings: [...host.notes, ...warnings],
    runtime: {
      provider: host.provider,
      threads: host.threads,
      ms,
      passes,
      versions: host.versions,
    },
  };
}
