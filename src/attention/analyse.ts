import { UserError, isFloat } from '../onnx/index.ts';
import type { DenseTensor, Model, NamedTensors } from '../onnx/index.ts';
import type { TargetRef } from '../explanation/index.ts';
import { targetWeights } from '../tasks/core.ts';
import type { OptionValue } from '../programs/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { analysisOptions, findAnalysis } from './analyses.ts';
import type { AnalysisContext, AttentionAnalysis } from './analysis.ts';
import { captureAttention } from './capture.ts';
import type { AttentionTarget } from './chefer.ts';
import type { EncodedSentence } from './dependencies.ts';
import { chooseBlocks, finish, give, noAttention, openAttention, runAttention, sealedKernels } from './graph.ts';
import type { AttentionBlock } from './locate.ts';
import { locateAttention } from './locate.ts';
import type { TokenText } from './measures.ts';
import type { AttentionResult } from './result.ts';
import { traceModel } from './trace.ts';

export interface AnalyseRequest {
  /** The model's inputs, with a batch of 1; none for analyses that make their own. */
  readonly inputs?: NamedTensors;
  /** The tokens of a text. */
  readonly text?: TokenText;
  /** An analysis by name. Default: the probabilities themselves. */
  readonly analysis?: string;
  readonly options?: Readonly<Record<string, OptionValue>>;
  /** Number of a layer as `inspect` gives it, or the path of a block. */
  readonly layer?: string;
  readonly head?: number;
  /** The output that gradients are taken of; the model's first of floats unless said. */
  readonly output?: string;
  /** What about the output is asked; called with it, [1, ...]. */
  readonly target?: (answer: DenseTensor) => TargetRef;
  readonly seed?: number;
  /** Encodes a sentence, for analyses over a treebank. */
  readonly encode?: (text: string) => Promise<EncodedSentence>;
  /** Reads a file that an option names. */
  readonly read?: (file: string) => string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Runs one analysis of a model's attention. Throws a UsageError for an unknown analysis or option, and a UserError when the
 * model attends nowhere, a layer or head is out of range, or what the analysis needs is not there, before the model runs.
 */
export async function analyseAttention(host: ModelHost, request: AnalyseRequest): Promise<AttentionResult> {
  const analysis = findAnalysis(request.analysis ?? 'probabilities');
  const options = analysisOptions(analysis, request.options ?? {});
  const started = performance.now();
  const blocks = selectBlocks(host, analysis, request);
  const inputs = request.inputs ?? {};
  if (request.inputs === undefined && analysis.needs !== 'nothing')
    throw new UserError(`${analysis.name} is of one input: give a text, a picture or tensors`);
  checkSize(host, analysis, inputs, blocks, request.head);
  if (request.head !== undefined) await checkHeadsUnnamed(host, inputs, blocks, request.head);
  let asked: { readonly target: AttentionTarget; readonly ref: TargetRef } | undefined;
  const context: AnalysisContext = {
    host,
    tensors: inputs,
    text: request.text,
    blocks,
    heads: request.head === undefined ? undefined : [request.head],
    seed: request.seed ?? 0,
    signal: request.signal,
    onProgress: request.onProgress,
    async target() {
      asked ??= await resolveTarget(host, inputs, request);
      return asked.target;
    },
    encode: request.encode ?? (() => Promise.reject(new UserError(`${analysis.name} needs a tokenizer`))),
    read: request.read ?? (() => refuseFiles(analysis)),
  };
  const { warnings = [], ...found } = await analysis.run(context, options).catch((error: unknown) => {
    // Shapes that only a run shows to be unequal: windows, stages, towers.
    if (analysis.scope === 'model' && error instanceof UserError && error.message.startsWith('onnxruntime:'))
      throw new UserError(`${analysis.name} cannot be followed through the layers of this model: ${error.message}`);
    throw error;
  });
  return {
    analysis: analysis.name,
    options,
    model: { path: host.path, sha256: host.sha256 },
    ...found,
    ...(request.text === undefined ? {} : { tokens: request.text.tokens }),
    ...(asked === undefined ? {} : { output: asked.target.output, target: asked.ref }),
    warnings: [...warnings, ...sealedWarning(host)],
    runtime: {
      provider: host.provider,
      threads: host.threads,
      ms: performance.now() - started,
      versions: host.versions,
    },
  };
}

/** Some blocks may be found and others not. */
function sealedWarning(host: ModelHost): readonly string[] {
  const sealed = sealedKernels(host.model);
  if (sealed.length === 0) return [];
  const names = [...new Set(sealed.map(({ operator }) => operator))].join(', ');
  return [`${sealed.length} fused kernels of this model (${names}) cannot be opened: their attention is not shown.`];
}

function refuseFiles({ name }: AttentionAnalysis): never {
  throw new UserError(`${name} reads a file, and none can be read here`);
}

/** Indices of the blocks that a layer stands for; undefined for all. */
function selectBlocks(
  host: ModelHost,
  analysis: AttentionAnalysis,
  { layer, head }: AnalyseRequest,
): readonly number[] | undefined {
  const all = locateAttention(host.model);
  if (all.length === 0) throw new UserError(noAttention(host.model));
  if (analysis.scope === 'model' && (layer !== undefined || head !== undefined))
    throw new UserError(`${analysis.name} is of all layers and heads: leave --layer and --head out`);
  if (analysis.scope === 'blocks' && head !== undefined)
    throw new UserError(`${analysis.name} is of all heads of a block: leave --head out`);
  const chosen = layer === undefined ? all : blocksOf(all, layer);
  if (head !== undefined) checkHead(chosen, head);
  return layer === undefined ? undefined : chosen.map(({ index }) => index);
}

function blocksOf(all: readonly AttentionBlock[], layer: string): readonly AttentionBlock[] {
  const byNumber = /^\d+$/.test(layer);
  const chosen = all.filter((block) => (byNumber ? block.layer === Number(layer) : block.path === layer));
  if (chosen.length > 0) return chosen;
  const numbers = [...new Set(all.map((block) => block.layer))].sort((left, right) => left - right);
  const range = numbers.length === 1 ? `only layer ${numbers[0]}` : `layers ${numbers[0]} to ${numbers.at(-1)}`;
  throw new UserError(
    byNumber
      ? `there is no attention in layer ${layer}: the model attends in ${range}`
      : `there is no attention at "${layer}"; "onnxray inspect" lists where it is`,
  );
}

function checkHead(blocks: readonly AttentionBlock[], head: number): void {
  for (const { path, heads } of blocks)
    if (heads !== null && head >= heads)
      throw new UserError(`there is no head ${head} in ${path}: it has heads 0 to ${heads - 1}`);
}

/** More numbers than anybody looks at, and than a JSON document holds well. */
const MOST_NUMBERS = 2e7;

/** Refuses, before anything runs, to bring whole matrices of a large model out of the graph when nobody chose a part. */
function checkSize(
  host: ModelHost,
  analysis: AttentionAnalysis,
  inputs: NamedTensors,
  indices: readonly number[] | undefined,
  head: number | undefined,
): void {
  if (!analysis.matrices) return;
  const { graph } = host.model;
  const declared = graph.inputs.map((info) => ({ ...info, dims: inputs[info.name]?.dims ?? info.dims }));
  const { facts } = traceModel({ ...host.model, graph: { ...graph, inputs: declared, valueInfos: new Map() } });
  let count = 0;
  for (const block of chooseBlocks(host.model, indices)) {
    const dims = facts.get(block.probabilities)?.dims ?? [];
    const size = dims.reduce<number>((product, dim) => product * (typeof dim === 'number' ? dim : 1), 1);
    count += head === undefined ? size : size / (block.heads ?? 1);
  }
  if (count > MOST_NUMBERS)
    throw new UserError(
      `that would be ${count.toLocaleString('en')} numbers: choose a part with --layer and --head, or an analysis that reduces them (entropy, received, top, rollout)`,
    );
}

/** Where the graph does not say how many heads a block has, a run does. */
async function checkHeadsUnnamed(
  host: ModelHost,
  inputs: NamedTensors,
  indices: readonly number[] | undefined,
  head: number,
): Promise<void> {
  const unnamed = chooseBlocks(host.model, indices).filter(({ heads }) => heads === null);
  if (unnamed.length === 0 || Object.keys(inputs).length === 0) return;
  const sizes = await captureAttention(host, inputs, { blocks: unnamed.map(({ index }) => index), values: ['size'] });
  checkHead(
    sizes.map(({ block, values }) => ({ ...block, heads: values['size']!.data[1]! })),
    head,
  );
}

/** What is asked about the answer: chosen when that is known, which takes one run of the model. */
async function resolveTarget(
  host: ModelHost,
  inputs: NamedTensors,
  { output: given, target, signal }: AnalyseRequest,
): Promise<{ readonly target: AttentionTarget; readonly ref: TargetRef }> {
  const output = chooseOutput(host.model, given);
  const compile = (model: Model) => {
    const { b } = openAttention(model);
    give(b, output, 'onnxray/attention/answer');
    return finish(b);
  };
  const outputs = await runAttention(host, { kind: 'answer', output }, compile, inputs, signal);
  const { dims, data } = outputs['onnxray/attention/answer']!;
  const answer: DenseTensor = { type: 'float32', dims, data: Float32Array.from(data) };
  const ref = target?.(answer) ?? { label: '0', indices: dims.slice(1).map(() => 0) };
  const weights = targetWeights(ref, answer, output).data as Float32Array;
  return { target: { output, weights: { dims, data: weights } }, ref };
}

function chooseOutput(model: Model, name: string | undefined): string {
  const usable = model.graph.outputs.filter((info) => isFloat(info.type) && !model.graph.otherTypes.has(info.name));
  const chosen = name === undefined ? usable[0] : usable.find((info) => info.name === name);
  if (chosen !== undefined) return chosen.name;
  const names = usable.map((info) => `"${info.name}"`).join(', ');
  throw new UserError(
    name === undefined
      ? 'the model has no floating-point output to take gradients of'
      : `the model has no floating-point output "${name}"; it has ${names || 'none'}`,
  );
}
