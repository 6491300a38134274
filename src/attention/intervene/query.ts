/** Which position's attention is meant, and which attention. */
import { sizeOf } from '../../onnx/index.ts';
import type { DenseTensor } from '../../onnx/index.ts';
import { numbers } from '../../programs/index.ts';
import type { AttentionBlock } from '../locate.ts';
import { gradientsAt } from './gradients.ts';
import type { Question } from './question.ts';
import { checkPosition, headCount } from './question.ts';

/** A query's position, or the mean over all queries. */
export type Query = number | 'mean';

/**
 * The position whose state the answer is read from: the only one at the end of the stream that the target's gradient is
 * not zero at (a classifier's [CLS], a language model's last token); the mean over all queries where there are several.
 */
export async function findQuery(question: Question, asked: number | undefined): Promise<Query> {
  const { chain, run } = question;
  const positions = run.hidden.at(-1)!.dims[1]!;
  checkPosition('query', asked, positions);
  if (asked !== undefined) return asked;
  const [norms] = await gradientsAt(question, [{ value: chain.stream.segments.at(-1)!.to, by: 'norm', heads: null }]);
  const read = Array.from(norms!).flatMap((norm, position) => (norm > 0 ? [position] : []));
  return read.length === 1 ? read[0]! : 'mean';
}

/** Probabilities per head of the query's row, or of all rows on average: [heads][keys]. */
export function attentionFrom(probabilities: DenseTensor, block: AttentionBlock, query: Query): Float64Array[] {
  const [, , queries, keys] = probabilities.dims as [number, number, number, number];
  const data = numbers(probabilities);
  return Array.from({ length: headCount(block) }, (_, head) => {
    const row = new Float64Array(keys);
    const [first, last] = query === 'mean' ? [0, queries - 1] : [query, query];
    for (let at = first; at <= last; at++)
      for (let key = 0; key < keys; key++) row[key]! += data[(head * queries + at) * keys + key]! / (last - first + 1);
    return row;
  });
}

/** Blocks whose keys are the stream's own positions: those of tokens that can be left out. */
export function selfBlocks({ chain, run }: Question): readonly AttentionBlock[] {
  return chain.streamBlocks.filter(({ index, kind }) => {
    const dims = run.hidden[chain.segmentOf(index)]!.dims;
    return kind !== 'cross' && sizeOf(dims.slice(1, 2)) === run.hidden[0]!.dims[1];
  });
}

export function meanOf(rows: readonly Float64Array[]): Float64Array {
  return rows[0]!.map((_, at) => rows.reduce((sum, row) => sum + row[at]! / rows.length, 0));
}
