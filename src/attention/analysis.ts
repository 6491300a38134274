import type { Scores } from '../explanation/index.ts';
import type { NamedTensors } from '../onnx/index.ts';
import type { OptionSpecs, OptionsOf } from '../programs/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import type { AttentionTarget } from './chefer.ts';
import type { EncodedSentence } from './dependencies.ts';
import type { AttentionBlock } from './locate.ts';
import type { TokenText } from './measures.ts';
import type { Axis, BlockResult, Found, Measured } from './result.ts';

/** What an analysis works on. */
export interface AnalysisContext {
  readonly host: ModelHost;
  /** The model's inputs, with a batch of 1; of an analysis without a subject none. */
  readonly tensors: NamedTensors;
  readonly text: TokenText | undefined;
  /** Blocks and heads asked for. */
  readonly blocks: readonly number[] | undefined;
  readonly heads: readonly number[] | undefined;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((done: number, total: number) => void) | undefined;
  /** Resolves what is asked about the answer; runs the model once where the target is chosen by it. */
  target(): Promise<AttentionTarget>;
  /** A sentence as the model reads it. */
  encode(text: string): Promise<EncodedSentence>;
  /** A file that an option names. */
  read(file: string): string;
}

export interface AttentionAnalysis<S extends OptionSpecs = OptionSpecs> {
  readonly name: string;
  /** One line for --help. */
  readonly summary: string;
  readonly options: S;
  /** Whether it is of one input, and whether of one answer to it. */
  readonly needs: 'input' | 'target' | 'nothing';
  /** Whether it is of blocks and heads that can be chosen, or goes through all layers. */
  readonly scope: 'heads' | 'blocks' | 'model';
  /** Whether it brings whole matrices, [heads, queries, keys] of every block. */
  readonly matrices?: boolean;
  run(context: AnalysisContext, options: OptionsOf<S>): Promise<Found>;
}

/** Keeps an analysis's option types for its own code; the table sees the general type. */
export function defineAnalysis<const S extends OptionSpecs>(analysis: AttentionAnalysis<S>): AttentionAnalysis {
  return analysis as unknown as AttentionAnalysis;
}

/** What goes to `captureAttention` from a context. */
export function chosen({ blocks, heads, signal }: AnalysisContext) {
  return {
    ...(blocks === undefined ? {} : { blocks }),
    ...(heads === undefined ? {} : { heads }),
    ...(signal === undefined ? {} : { signal }),
  };
}

export function measured({ dims, data }: Scores, axes: readonly Axis[], classes?: readonly string[]): Measured {
  return { axes, dims, data, ...(classes === undefined ? {} : { classes }) };
}

export function blockResult(
  { index, layer, kind, path, heads }: AttentionBlock,
  context: Pick<AnalysisContext, 'heads'>,
  rest: Omit<BlockResult, 'index' | 'layer' | 'kind' | 'path' | 'heads' | 'only'>,
): BlockResult {
  const only = context.heads === undefined ? {} : { only: context.heads };
  return { index, layer, kind, path, heads, ...only, ...rest };
}
