import type { Scores } from '../explanation/index.ts';
import { seededRandom } from '../inputs/core.ts';
import { UserError, numbersToData, sizeOf } from '../onnx/index.ts';
import type { DenseTensor, NamedTensors } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { findFeatures } from '../programs/index.ts';
import { captureAttention } from './capture.ts';
import type { AttentionBlock } from './locate.ts';

export interface InductionOptions {
  /** Random tokens before they repeat. Default 25. */
  readonly length?: number;
  /** Sequences to average over. Default 4. */
  readonly samples?: number;
  readonly seed?: number;
  readonly blocks?: readonly number[];
  readonly heads?: readonly number[];
  readonly signal?: AbortSignal;
}

export interface InductionScores {
  readonly block: AttentionBlock;
  /** Attention from a repeated token to the one after its first occurrence, [1, heads]. */
  readonly induction: Scores;
  /** Attention from a repeated token to its first occurrence, [1, heads]. */
  readonly duplicate: Scores;
}

/**
 * Induction heads, Olsson et al. 2022, https://arxiv.org/abs/2209.11895: on random tokens that are repeated once, the mean
 * attention from each repeated token to the token after its first occurrence, and to that occurrence itself. `samples`
 * forward passes. Throws a UserError when the model takes no token ids or is too short for them.
 */
export async function inductionScores(
  host: ModelHost,
  { length = 25, samples = 4, seed = 0, blocks, heads, signal }: InductionOptions = {},
): Promise<readonly InductionScores[]> {
  const ids = findFeatures(host.model).find(({ kind }) => kind === 'tokens');
  if (ids === undefined) throw new UserError('induction heads are found on token ids, and the model takes none');
  const vocabulary = vocabularyOf(host, ids.value);
  const random = seededRandom(seed);
  const totals = new Map<number, { block: AttentionBlock; induction: Float64Array; duplicate: Float64Array }>();
  const queries = Array.from({ length }, (_, at) => length + at);
  for (let sample = 0; sample < samples; sample++) {
    const once = Array.from({ length }, () => Math.floor(random() * vocabulary));
    const found = await captureAttention(host, feeds(host, ids.input, [...once, ...once]), {
      queries,
      values: [{ offset: 1 - length }, { offset: -length }],
      ...(blocks === undefined ? {} : { blocks }),
      ...(heads === undefined ? {} : { heads }),
      ...(signal === undefined ? {} : { signal }),
    }).catch((error: unknown) => {
      // What models say beyond their last position is about an index of a table that nobody asked for.
      if (error instanceof UserError && /^onnxruntime: .*out of (data )?bounds/s.test(error.message))
        throw new UserError(
          `the model does not read ${2 * length} tokens, ${length} and the same again: give induction a smaller length`,
        );
      throw error;
    });
    for (const { block, values } of found) {
      const [induction, duplicate] = [values[`offset ${1 - length}`], values[`offset ${-length}`]];
      if (induction === undefined || duplicate === undefined) continue;
      const count = induction.data.length;
      const total = totals.get(block.index) ?? {
        block,
        induction: new Float64Array(count),
        duplicate: new Float64Array(count),
      };
      totals.set(block.index, total);
      for (let head = 0; head < count; head++) {
        total.induction[head]! += induction.data[head]! / samples;
        total.duplicate[head]! += duplicate.data[head]! / samples;
      }
    }
  }
  const scores = (data: Float64Array): Scores => ({ dims: [1, data.length], data: Float32Array.from(data) });
  return Array.from(totals.values(), ({ block, induction, duplicate }) => ({
    block,
    induction: scores(induction),
    duplicate: scores(duplicate),
  }));
}

function vocabularyOf(host: ModelHost, embedding: string): number {
  const { nodes, initializers } = host.model.graph;
  const gather = nodes.find(({ outputs }) => outputs.includes(embedding));
  const rows = gather && initializers.get(gather.inputs[0]!)?.dims[0];
  return rows ?? 1000;
}

/** Inputs for a sequence of ids: masks of ones, positions counted, all else zeros. */
function feeds(host: ModelHost, input: string, ids: readonly number[]): NamedTensors {
  return Object.fromEntries(
    host.model.graph.inputs.map(({ name, type, dims }): [string, DenseTensor] => {
      const own = [1, ids.length];
      if (dims?.length !== 2 || !/^(int|float|bool)/.test(type) || !fits(dims[1], ids.length))
        throw new UserError(`induction heads need inputs of one number per token, and "${name}" is none`);
      const values = Array.from({ length: sizeOf(own) }, (_, at) => {
        if (name === input) return ids[at]!;
        if (/mask/i.test(name)) return 1;
        return /position/i.test(name) ? at : 0;
      });
      return [name, { type, dims: own, data: numbersToData(type, values) }];
    }),
  );
}

const fits = (dim: number | string | undefined, length: number): boolean => typeof dim !== 'number' || dim === length;
