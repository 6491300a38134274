/** Which position's attention is meant, and which attention. */
import { UserError } from '../../onnx/index.ts';
import type { DenseTensor } from '../../onnx/index.ts';
import { numbers } from '../../programs/index.ts';
import type { AttentionBlock } from '../locate.ts';
import { gradientsAt } from './gradients.ts';
import type { Question } from './question.ts';
import { attendsAcross, checkPosition, headCount } from './question.ts';

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

/** Blocks that attend between all positions of the input. Throws a UserError where there is none. */
export function selfBlocks(question: Question): readonly AttentionBlock[] {
  const { chain, run } = question;
  const positions = run.hidden[0]!.dims[1];
  const found = chain.streamBlocks.filter(
    (block) => run.hidden[chain.segmentOf(block.index)]!.dims[1] === positions && attendsAcross(question, block),
  );
  if (found.length === 0) throw new UserError('no attention of this stream is between all positions of the input');
  return found;
}

export function meanOf(rows: readonly Float64Array[]): Float64Array {
  return rows[0]!.map((_, at) => rows.reduce((sum, row) => sum + row[at]! / rows.length, 0));
}
