import { UserError, foldPadding, normalizeModel, remembered, weightTensor } from '../onnx/index.ts';
import type { DenseTensor, Layer, Model, NamedTensors, ValueInfo } from '../onnx/index.ts';
import type { ModelHost, Provider } from '../runtime/core.ts';
import { targetWeights } from '../tasks/core.ts';
import type { TargetRef } from '../explanation/index.ts';
import {
  ProgramRunner,
  answersAlike,
  chooseOutput,
  findFeatures,
  findLayer,
  layerFeature,
  numbers,
  originalAnswer,
} from '../programs/index.ts';
import type {
  AttributionContext,
  DetectionAim,
  Feature,
  Method,
  Modality,
  ProgramPlan,
  ProgramRequest,
} from '../programs/index.ts';
import type { AttributeRequest, WeightedTarget } from './request.ts';
import { isBuilt, isWeighted } from './request.ts';

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
export class Scene implements AttributionContext {
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
