import type { DenseTensor, NamedTensors } from '../onnx/index.ts';
import type { Session } from '../runtime/core.ts';
import type { Explanation } from '../explanation/index.ts';
import { seededRandom } from '../inputs/core.ts';
import { targetValue } from '../tasks/core.ts';

/** How far the explained value moves when some tokens are deleted. */
export interface DeletionResult {
  /** Deleting the tokens with the highest scores. */
  readonly top: number;
  /** Deleting as many tokens at random: the mean over draws. */
  readonly random: number;
  /** Tokens deleted. */
  readonly deleted: number;
}

export interface DeletionOptions {
  /** Share of the non-special tokens to delete. Default 0.2. */
  readonly fraction?: number;
  /** Random draws to average over. Default 5. */
  readonly draws?: number;
  readonly seed?: number;
}

/**
 * Deletes the tokens an explanation scores highest, takes the model's answer to what is left, and compares with deleting
 * random tokens: |value - value without them|. Tokens are taken out of the sequence, special tokens stay.
 * A first, blunt test of whether scores point at what matters; DeYoung et al. 2020 call its value comprehensiveness,
 * https://arxiv.org/abs/1911.03429. Cost: 1 + draws forward passes.
 */
export async function deletionTest(
  session: Session,
  tensors: NamedTensors,
  explanation: Explanation,
  options: DeletionOptions = {},
): Promise<DeletionResult> {
  const { fraction = 0.2, draws = 5, seed = 0 } = options;
  const { text, output, target, value } = explanation;
  if (text === undefined) throw new Error('deletion of tokens needs an explanation of a text');
  const scores = explanation.attributions[text.input]!.data;
  const own = text.offsets.flatMap((offset, index) => (offset === null ? [] : [index]));
  const count = Math.max(1, Math.round(own.length * fraction));
  const ranked = [...own].sort((left, right) => scores[right]! - scores[left]!);
  const random = seededRandom(seed);
  const change = async (deleted: readonly number[]): Promise<number> => {
    const answer = (await session.run(withoutTokens(tensors, new Set(deleted)), { outputs: [output] }))[output]!;
    return Math.abs(value - targetValue(target, answer));
  };
  const top = await change(ranked.slice(0, count));
  let total = 0;
  for (let draw = 0; draw < draws; draw++) total += await change(sample(own, count, random));
  return { top, random: total / draws, deleted: count };
}

function sample(list: readonly number[], count: number, random: () => number): number[] {
  const rest = [...list];
  return Array.from({ length: count }, () => rest.splice(Math.floor(random() * rest.length), 1)[0]!);
}

/** [1, T] tensors without some positions. */
function withoutTokens(tensors: NamedTensors, deleted: ReadonlySet<number>): NamedTensors {
  const cut = ({ type, dims, data }: DenseTensor): DenseTensor => {
    const kept = Array.from(data as BigInt64Array).filter((_, index) => !deleted.has(index));
    return {
      type,
      dims: [1, kept.length, ...dims.slice(2)],
      data: type === 'int32' ? Int32Array.from(kept, Number) : BigInt64Array.from(kept, BigInt),
    };
  };
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, cut(tensor)]));
}
