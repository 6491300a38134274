import { UserError } from '../onnx/index.ts';
import type { GraphBuilder, Model, NamedTensors, ValueName } from '../onnx/index.ts';
import { appendGradients } from '../autodiff/index.ts';
import type { Scores } from '../explanation/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { inFourAxes } from '../programs/index.ts';
import { scoreParts } from './expected.ts';
import { ATTENTION, addTarget, chooseBlocks, finish, give, openAttention, runAttention } from './graph.ts';
import type { OpenBlock } from './graph.ts';
import type { AttentionBlock } from './locate.ts';
import { giveReduced, groupBlocks, isReduced, partReduced, reducedName } from './groups.ts';
import type { Member, Reduced } from './groups.ts';
import { fuseHeads, greatestOfCells, topKeys } from './reductions.ts';
import type { HeadFusion } from './reductions.ts';
import { hiddenOf } from './hidden.ts';
import type { Tracer } from './trace.ts';

/** Values of a block as they are, every axis of them. */
export const ATTENTION_VALUES = ['probabilities', 'scores', 'queries', 'keys', 'values', 'context', 'hidden'] as const;
export type AttentionValue = (typeof ATTENTION_VALUES)[number];

/**
 * What is captured of each block.
 *
 * Values: `probabilities`, `scores` (what the softmax is taken of) [batch, heads, queries, keys]; `queries` [batch, heads,
 * queries, size]; `keys`, `values` [batch, heads, keys, size]; `context` [batch, heads, queries, size]; `hidden`: what keys
 * were projected from [batch, keys, hidden].
 *
 * Reduced in the graph: `entropy` in nats, `distance` in tokens, `confidence` [batch, heads]; `entropy-by-query` [batch,
 * heads, queries], NaN for queries that are masked from every key, which the mean leaves out; `received` [batch, heads,
 * keys]; the mass at an offset [batch, heads]; the top keys `top` and `top-keys` [batch, heads, queries, count]; heads fused
 * [batch, queries, keys]; `cells`: of each square of so many queries and keys the greatest probability [batch, heads,
 * queries / cells, keys / cells], rounded up.
 *
 * `size`: batch, heads, queries and keys, as four numbers.
 *
 * With a target: `gradients` of it in the probabilities and `gradient-x-attention` [batch, heads, queries, keys], and
 * `importance`, |sum of context * gradient| [batch, heads].
 */
export type Captured =
  | AttentionValue
  | Reduced
  | 'gradients'
  | 'gradient-x-attention'
  | 'importance'
  | { readonly top: number }
  | { readonly cells: number }
  | { readonly fused: HeadFusion };

export interface CaptureOptions {
  /** Blocks by index; all unless said. */
  readonly blocks?: readonly number[];
  /** Heads within each block; all unless said. */
  readonly heads?: readonly number[];
  /** Queries (positions) to keep; all unless said. A span of them is what means are taken over. */
  readonly queries?: readonly number[];
  /** Default: probabilities. */
  readonly values?: readonly Captured[];
  /** What gradients are taken of: an output, and the weight of each of its elements, [1, ...]. */
  readonly target?: { readonly output: string; readonly weights: Scores };
  /** Outputs of the model that the same run gives. */
  readonly outputs?: readonly string[];
  readonly signal?: AbortSignal;
}

export interface CapturedBlock {
  readonly block: AttentionBlock;
  /** By the names `captureName` gives. Values that make no sense of a block (distances in cross-attention) are missing. */
  readonly values: Readonly<Record<string, Scores>>;
}

/** The name of a captured value: itself, or `offset -1`, `top`, `cells`, `fused mean`. */
export function captureName(what: Captured): string {
  if (typeof what === 'object' && !('offset' in what))
    return 'top' in what ? 'top' : 'cells' in what ? 'cells' : `fused ${what.fused}`;
  return typeof what === 'object' ? reducedName(what) : what;
}

/**
 * Runs the model with chosen values of its attention blocks as outputs, reduced inside the graph where that was asked for:
 * one forward pass, and a backward one where gradients are asked for. The rewritten graph is compiled once per request and
 * cached by the host. Throws a UserError when the model attends nowhere, for blocks or heads out of range, and for an
 * operator without a gradient rule.
 */
export async function captureAttention(
  host: ModelHost,
  tensors: NamedTensors,
  options: Omit<CaptureOptions, 'outputs'> = {},
): Promise<readonly CapturedBlock[]> {
  return (await captureWithOutputs(host, tensors, options)).blocks;
}

/** As `captureAttention`, with outputs of the model from the same run. */
export async function captureWithOutputs(
  host: ModelHost,
  tensors: NamedTensors,
  { blocks, heads, queries, values = ['probabilities'], target, outputs: kept = [], signal }: CaptureOptions = {},
): Promise<{ readonly blocks: readonly CapturedBlock[]; readonly outputs: Readonly<Record<string, Scores>> }> {
  const request: CaptureRequest = {
    kind: 'capture',
    values,
    rows: queries !== undefined,
    ...(blocks === undefined ? {} : { blocks }),
    ...(heads === undefined ? {} : { heads }),
    ...(target === undefined ? {} : { output: target.output }),
    ...(kept.length === 0 ? {} : { outputs: kept }),
  };
  const located = checkHeads(host.model, blocks, heads);
  if (values.some((each) => typeof each === 'string' && GRADIENTS.has(each)) && target === undefined)
    throw new UserError('gradients of attention need a target: an output and the weights of its elements');
  const feeds: NamedTensors = {
    ...tensors,
    ...(queries === undefined
      ? {}
      : { [ATTENTION.rows]: { type: 'int64', dims: [queries.length], data: BigInt64Array.from(queries, BigInt) } }),
    ...(target === undefined
      ? {}
      : {
          [ATTENTION.target]: {
            type: 'float32',
            dims: target.weights.dims,
            data: Float32Array.from(target.weights.data),
          },
        }),
  };
  const outputs = await runAttention(host, request, (model) => compileCapture(model, request), feeds, signal);
  const reduced = partReduced(outputs);
  const found = located.map((block) => {
    const prefix = ATTENTION.output(block.index, '');
    const own = Object.entries(outputs).filter(([name]) => name.startsWith(prefix));
    const whole = Object.fromEntries(own.map(([name, scores]) => [name.slice(prefix.length), scores]));
    return { block, values: { ...reduced.get(block.index), ...whole } };
  });
  const answers = kept.map((name) => [name, outputs[ATTENTION.whole(name)]!] as const);
  return { blocks: found, outputs: Object.fromEntries(answers) };
}

const GRADIENTS: ReadonlySet<string> = new Set(['gradients', 'gradient-x-attention', 'importance']);

/** Everything a capture program depends on beside the model. */
export interface CaptureRequest {
  readonly kind: 'capture';
  readonly blocks?: readonly number[];
  readonly heads?: readonly number[];
  readonly values: readonly Captured[];
  /** Whether the program takes the positions of the queries to keep. */
  readonly rows: boolean;
  /** The output that gradients are taken of. */
  readonly output?: string;
  /** Outputs that the program gives too. */
  readonly outputs?: readonly string[];
}

function checkHeads(
  model: Model,
  indices: readonly number[] | undefined,
  heads: readonly number[] | undefined,
): readonly AttentionBlock[] {
  const chosen = chooseBlocks(model, indices);
  for (const { path, heads: count } of chosen)
    for (const head of heads ?? [])
      if (count !== null && head >= count)
        throw new UserError(`there is no head ${head} in ${path}: it has heads 0 to ${count - 1}`);
  return chosen;
}

/** The model rewritten so that it gives what was asked for of its attention, and nothing else. */
export function compileCapture(model: Model, request: CaptureRequest): Model {
  const { b, blocks, tracer } = openAttention(model, request.blocks);
  const given = request.rows ? b.addInput({ name: ATTENTION.rows, type: 'int64', dims: ['rows'] }) : undefined;
  const pick = (value: ValueName) =>
    request.heads === undefined ? value : b.gather(value, b.int64s(request.heads), 1);
  const rowsOf = (value: ValueName) => (given === undefined ? value : b.gather(value, given, 2));
  const gradients = gradientsOf(b, blocks, request);
  const whole = request.heads === undefined && given === undefined;
  const members = blocks.map((open): Member => {
    const { block, probabilities } = open;
    return {
      block,
      whole: probabilities,
      probabilities: wide(b, rowsOf(pick(probabilities))),
      scores: wide(b, rowsOf(pick(inFourAxes(b, block.scores, block)))),
      parts: whole && b.type(probabilities) === 'float32' ? scoreParts(b, block) : undefined,
    };
  });
  const reduced = request.values.filter(isReduced);
  if (reduced.length > 0)
    // The first blocks' nodes last, as within a group.
    for (const group of groupBlocks(b, members).toReversed()) {
      const { block, whole: all, probabilities } = group[0]!;
      const rows = given ?? b.positions(probabilities, 2);
      giveReduced(b, group, { rows, before: cached(b, block, all) }, reduced);
    }
  for (const member of members)
    for (const what of request.values) {
      if (isReduced(what)) continue;
      const { index } = member.block;
      const name = ATTENTION.output(index, captureName(what));
      if (typeof what === 'object' && 'top' in what) {
        const { values, keys } = topKeys(b, member.probabilities, what.top);
        give(b, values, name);
        give(b, keys, ATTENTION.output(index, 'top-keys'));
        continue;
      }
      const value = captured(b, what, member, { pick, rowsOf, gradients, tracer });
      if (value !== undefined) give(b, value, name);
    }
  for (const output of request.outputs ?? []) {
    if (b.facts(output) === undefined) throw new UserError(`the model has no output "${output}"`);
    give(b, output, ATTENTION.whole(output));
  }
  return finish(b);
}

/** Sums of many terms are made in float32 at least. */
function wide(b: GraphBuilder, value: ValueName): ValueName {
  return b.type(value) === 'float16' || b.type(value) === 'bfloat16' ? b.cast(value, 'float32') : value;
}

/** In a decoder the last key is the last query's own: how many come before, undefined for none. */
function cached(b: GraphBuilder, block: AttentionBlock, probabilities: ValueName): ValueName | undefined {
  const [queries, keys] = b.dims(probabilities)?.slice(2) ?? [];
  if (block.kind !== 'decoder' || (queries !== undefined && queries === keys)) return undefined;
  return b.sub(b.dimension(probabilities, 3), b.dimension(probabilities, 2));
}

interface Selection {
  readonly pick: (value: ValueName) => ValueName;
  readonly rowsOf: (value: ValueName) => ValueName;
  readonly gradients: ReadonlyMap<ValueName, ValueName>;
  readonly tracer: Tracer;
}

function captured(
  b: GraphBuilder,
  what: Exclude<Captured, Reduced | { readonly top: number }>,
  { block, probabilities }: Member,
  { pick, rowsOf, gradients, tracer }: Selection,
): ValueName | undefined {
  const own = (value: ValueName) => pick(inFourAxes(b, value, block));
  if (typeof what === 'object')
    return 'cells' in what ? greatestOfCells(b, probabilities, what.cells) : fuseHeads(b, probabilities, what.fused);
  switch (what) {
    case 'probabilities':
      return probabilities;
    case 'scores':
      return rowsOf(own(block.scores));
    case 'queries':
      return rowsOf(own(block.queries));
    case 'keys':
      return b.matrixTranspose(own(block.keys));
    case 'values':
      return own(block.values);
    case 'context':
      return rowsOf(own(block.context));
    case 'hidden':
      return hiddenOf(tracer, block);
    case 'gradients':
      return rowsOf(own(gradients.get(block.probabilities)!));
    case 'gradient-x-attention':
      return b.mul(rowsOf(own(gradients.get(block.probabilities)!)), probabilities);
    case 'importance':
      return b.abs(b.sum(b.mul(rowsOf(own(block.context)), rowsOf(own(gradients.get(block.context)!))), [2, 3], false));
  }
}

/** Gradients of the target in what was asked for, by value. */
function gradientsOf(
  b: GraphBuilder,
  blocks: readonly OpenBlock[],
  { output, values }: CaptureRequest,
): ReadonlyMap<ValueName, ValueName> {
  const asked = new Set<Captured>(values);
  const wrt = new Set<ValueName>();
  for (const { block } of blocks) {
    if (asked.has('gradients') || asked.has('gradient-x-attention')) wrt.add(block.probabilities);
    if (asked.has('importance')) wrt.add(block.context);
  }
  if (output === undefined || wrt.size === 0) return new Map();
  return appendGradients(b, { of: output, wrt: [...wrt], seed: addTarget(b, output) });
}
