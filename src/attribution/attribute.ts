import { UserError, isFloat, sizeOf } from '../onnx/index.ts';
import type { DenseTensor, NamedTensors } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/index.ts';
import { VERSIONS, defaultThreads } from '../runtime/index.ts';
import type { Explanation, TargetRef } from '../explanation/index.ts';
import { sumOfScores } from '../explanation/index.ts';
import { findFeatures } from './features.ts';
import type { Feature } from './features.ts';
import type { Attribution, Method } from './method.ts';
import { findMethod } from './methods/index.ts';
import type { OptionValue } from './options.ts';
import { readOptions } from './options.ts';
import type { RunContext } from './path.ts';
import { PathRunner } from './path.ts';

export interface AttributeRequest {
  /** The model's inputs, with a batch of 1. */
  readonly inputs: NamedTensors;
  /** A method's name; `integrated-gradients` unless said. */
  readonly method?: string;
  /** Options of the method; what is left out has its default. */
  readonly options?: Readonly<Record<string, OptionValue>>;
  /** The output to explain; the model's first floating-point output unless said. */
  readonly output?: string;
  /** What to explain about the output: given, or chosen when the answer is known. */
  readonly target: TargetRef | ((answer: DenseTensor) => TargetRef);
  /** What the input is compared with, by input; `zero` (the default) for zeros, of the embedding for tokens. */
  readonly baseline?: NamedTensors | 'zero';
  /** How the baseline is called in the explanation's options. */
  readonly baselineName?: string;
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
 * Explains one answer of a model by one method. Scores are shaped like the inputs.
 * Throws a UserError for an unknown method, option, output or target, before anything heavy runs, and an abort's reason.
 */
export async function attribute(host: ModelHost, request: AttributeRequest): Promise<Attributed> {
  const method = findMethod(request.method ?? 'integrated-gradients');
  const options = readOptions(method.name, method.options, request.options ?? {});
  const output = chooseOutput(host, request.output);
  const features = findFeatures(host.model);
  const started = performance.now();
  const run: RunContext = {
    host,
    feeds: request.inputs,
    baseline: method.usesBaseline ? (request.baseline ?? 'zero') : 'zero',
    signal: request.signal,
    onProgress: request.onProgress,
    memoryBudget: request.memoryBudget,
  };
  const program = {
    output,
    features,
    baseline: run.baseline === 'zero' ? 'zero' : 'given',
    reduction: method.reduction(options),
    rules: (host.options.provider ?? 'cpu') === 'cpu' ? 'blocked' : 'plain',
    dims: fixedDims(features, request.inputs),
  } as const;
  const runner = await PathRunner.open(run, program);
  const answer = await runner.answer();
  if (!(await host.isChecked(program))) {
    await checkAgainstOriginal(run, output, answer);
    await host.rememberChecked(program);
  }
  const target = typeof request.target === 'function' ? request.target(answer) : request.target;
  const attribution = await method.attribute({ runner, target: targetWeights(target, answer, output) }, options);
  checkFinite(attribution);
  return {
    explanation: describe(
      host,
      request,
      method,
      options,
      output,
      target,
      attribution,
      performance.now() - started,
      runner.passes,
    ),
    answer,
  };
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
): Readonly<Record<string, readonly (number | string)[]>> {
  if (features.some(({ kind }) => kind === 'tokens')) return {};
  return Object.fromEntries(Object.entries(inputs).map(([name, { dims }]) => [name, dims]));
}

/** The first time a program is used its answer is compared with that of the unmodified model. */
async function checkAgainstOriginal({ host, feeds }: RunContext, output: string, answer: DenseTensor): Promise<void> {
  const session = await host.openOriginal();
  try {
    const known = Object.fromEntries(Object.entries(feeds).filter(([name]) => session.inputNames.includes(name)));
    const original = (await session.run(known, { outputs: [output] }))[output]!;
    const [left, right] = [answer.data as Float32Array, original.data as Float32Array];
    let [largest, difference] = [0, 0];
    for (let index = 0; index < right.length; index++) {
      largest = Math.max(largest, Math.abs(right[index]!));
      difference = Math.max(difference, Math.abs(left[index]! - right[index]!));
    }
    if (
      left.length !== right.length ||
      difference > 1e-3 * Math.max(1, largest) ||
      Number.isNaN(left[0]) !== Number.isNaN(right[0])
    )
      throw new Error(
        `the compiled program answers differently from the model: output "${output}" is off by ${difference}`,
      );
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
  host: ModelHost,
  request: AttributeRequest,
  method: Method,
  options: Readonly<Record<string, OptionValue>>,
  output: string,
  target: TargetRef,
  attribution: Attribution,
  ms: number,
  passes: number,
): Explanation {
  const { scores, value, baselineValue, complete, found = {}, warnings = [] } = attribution;
  const baseline: Readonly<Record<string, string>> = method.usesBaseline
    ? {
        baseline:
          request.baselineName ?? (request.baseline === undefined || request.baseline === 'zero' ? 'zero' : 'given'),
      }
    : {};
  return {
    method: method.name,
    options: { ...options, ...found, ...baseline },
    model: { path: host.path, sha256: host.sha256 },
    output,
    target,
    value,
    baselineValue,
    convergenceDelta: complete && baselineValue !== null ? sumOfScores(scores) - (value - baselineValue) : null,
    attributions: scores,
    warnings,
    runtime: {
      provider: host.options.provider ?? 'cpu',
      threads: host.options.threads ?? defaultThreads(),
      ms,
      passes,
      versions: VERSIONS,
    },
  };
}
