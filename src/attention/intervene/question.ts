/** What every analysis here starts from: one input, one answer, one thing about it. */
import { UsageError, UserError } from '../../onnx/index.ts';
import type { DenseTensor, NamedTensors } from '../../onnx/index.ts';
import type { TargetRef } from '../../explanation/index.ts';
import { chooseOutput } from '../../programs/index.ts';
import { targetWeights } from '../../tasks/core.ts';
import type { ModelHost } from '../../runtime/core.ts';
import type { AttentionBlock } from '../locate.ts';
import { Chain } from './chain.ts';
import type { ChainOptions, Run, ScoredTarget } from './chain.ts';
import type { TableAxis, Intervention } from './result.ts';
import { axis } from './result.ts';

/** An input with a batch of 1, and what its positions are called. */
export interface Subject {
  readonly inputs: NamedTensors;
  readonly tokens?: readonly string[] | undefined;
}

export interface QuestionOptions extends Omit<ChainOptions, 'output'> {
  /** The output asked about; the model's first output of floats unless said. */
  readonly output?: string | undefined;
  /** What about it: given, or chosen when the answer is known. */
  readonly target: TargetRef | ((answer: DenseTensor) => TargetRef);
}

/** A model with the input's run through it and the target found. */
export interface Question {
  readonly chain: Chain;
  readonly subject: Subject;
  readonly run: Run;
  readonly target: ScoredTarget;
  readonly targetRef: TargetRef;
  readonly weights: DenseTensor;
  readonly value: number;
  readonly started: number;
}

/** Opens a model for one question. Throws a UserError for what does not suit the model, before anything heavy runs. */
export async function ask(host: ModelHost, subject: Subject, options: QuestionOptions): Promise<Question> {
  const started = performance.now();
  const output = chooseOutput(host.model, options.output);
  const { chain, run } = await Chain.open(host, subject.inputs, { ...options, output });
  const targetRef = typeof options.target === 'function' ? options.target(run.answer) : options.target;
  const weights = asFloat32(targetWeights(targetRef, run.answer, output));
  const target = await chain.target(run, weights);
  const [value] = await chain.values(run, [{ at: chain.depth }], target);
  if (!Number.isFinite(value)) throw new UserError(`the model answers ${value} for this input: nothing to ask about`);
  return { chain, subject, run, target, targetRef, weights, value: value!, started };
}

function asFloat32({ dims, data }: DenseTensor): DenseTensor {
  return { type: 'float32', dims, data: Float32Array.from(data as Float32Array) };
}

/** What all results say of the question. */
export function about(
  { chain, subject, targetRef, value, started }: Question,
  rest: Pick<Intervention, 'command' | 'analysis' | 'options' | 'tables'> & Partial<Intervention>,
): Intervention {
  const { host, options } = chain;
  return {
    model: { path: host.path, sha256: host.sha256 },
    output: options.output,
    target: targetRef,
    value,
    ...(subject.tokens && { tokens: subject.tokens }),
    figures: {},
    warnings: [],
    ...rest,
    options: { ...rest.options, ...(options.stream && { stream: options.stream }) },
    runtime: {
      provider: host.provider,
      threads: host.threads,
      ms: performance.now() - started,
      passes: Math.round(chain.runner.passes * 100) / 100,
      versions: host.versions,
    },
  };
}

/** What a block is called in a table: its layer, with its kind where it reads another stream. */
export function blockLabel({ kind, layer }: AttentionBlock): string {
  return kind === 'cross' ? `${layer} cross` : String(layer);
}

export const layerAxis = (blocks: readonly AttentionBlock[]): TableAxis => axis('layer', blocks.map(blockLabel));

/** Names of a run's positions: the subject's tokens where there is one for each. */
export function positionLabels({ tokens }: Subject, count: number): readonly string[] {
  return tokens?.length === count ? tokens : Array.from({ length: count }, (_, index) => String(index));
}

/** Blocks whose heads are known; those of a layer where one is asked for. */
export function chosenBlocks({ streamBlocks }: Chain, layer: number | undefined): readonly AttentionBlock[] {
  if (layer === undefined) return streamBlocks;
  const found = streamBlocks.filter((block) => block.layer === layer);
  if (found.length === 0) {
    const layers = [...new Set(streamBlocks.map((block) => block.layer))];
    throw new UserError(`there is no layer ${layer}: attention is in layers ${layers[0]} to ${layers.at(-1)}`);
  }
  return found;
}

export function headCount({ heads, path }: AttentionBlock): number {
  if (heads === null)
    throw new UserError(`the number of heads of "${path}" is not known: its heads cannot be told apart`);
  return heads;
}

export function checkHead(head: number | undefined, blocks: readonly AttentionBlock[]): void {
  if (head === undefined) return;
  const most = Math.max(...blocks.map(headCount));
  if (head >= most) throw new UserError(`there is no head ${head}: heads are 0 to ${most - 1}`);
}

export function checkPosition(name: string, position: number | undefined, count: number): void {
  if (position !== undefined && position >= count)
    throw new UserError(`there is no ${name} ${position}: positions are 0 to ${count - 1}`);
}

/** One of several words. Throws a UsageError that names them. */
export function oneOf<const T extends string>(option: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw new UsageError(`${option} is one of ${choices.join(', ')}, not "${value}"`);
  return found;
}

/** Throws a UserError that says which input of the two is longer. */
export function checkSameShapes(one: Subject, other: Subject, names: readonly [string, string]): void {
  for (const [name, { dims }] of Object.entries(one.inputs)) {
    const others = other.inputs[name]?.dims;
    if (others?.join() === dims.join()) continue;
    const size = (shape: readonly number[] | undefined, tokens: readonly string[] | undefined) =>
      tokens === undefined ? `dims [${shape?.join(', ') ?? 'none'}]` : `${tokens.length} tokens`;
    throw new UserError(
      `the two inputs differ in length: "${name}" has ${size(dims, one.tokens)} in the ${names[0]} one and ${size(others, other.tokens)} in the ${names[1]} one; they must match position by position`,
    );
  }
}

/** Whether a block attends between all positions of the stream, and not within windows, as far as shapes tell. */
export function attendsAcross({ chain, run }: Question, { index, kind, probabilities }: AttentionBlock): boolean {
  const positions = run.hidden[chain.segmentOf(index)]!.dims[1]!;
  const keys = chain.tracer.facts.get(probabilities)?.dims?.at(-1);
  return kind !== 'cross' && (typeof keys !== 'number' || keys === positions);
}
