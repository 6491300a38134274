/** What a head's scores are on average over its attention, in one pass through them where the graph says what they are made of. */
import type { Dim, GraphBuilder, ValueName } from '../onnx/index.ts';
import type { AttentionBlock } from './locate.ts';

/** Scores whose masks are the same for every query, so that of one input either all queries attend or none does. */
export interface ScoreParts {
  /** [batch, heads, queries, keys]: the scores, or what they were before terms that may be infinite were added. */
  readonly finite: ValueName;
  /** Masks that may be infinite, [batch or 1, heads or 1, 1, keys]. */
  readonly terms: readonly ValueName[];
}

/**
 * Takes a block's scores apart: masks that are added last, the same for every query as those of padding are, and the scaled
 * product of queries and keys. Undefined where anything else stands between, or shapes are not known to be of that kind.
 */
export function scoreParts(b: GraphBuilder, { scores, queries, keys }: AttentionBlock): ScoreParts | undefined {
  if (b.dims(scores)?.length !== 4) return undefined;
  const terms: ValueName[] = [];
  let finite = scores;
  for (let node = b.producer(finite); node?.operator === 'Add'; node = b.producer(finite)) {
    const [left, right] = node.inputs as [ValueName, ValueName];
    const [rest, term] = isOfKeys(b.dims(right)) ? [left, right] : [right, left];
    if (!isOfKeys(b.dims(term))) return undefined;
    terms.push(term);
    finite = rest;
  }
  for (let value = finite; ;) {
    const node = b.producer(value);
    const [left, right] = node?.inputs ?? [];
    if (node?.operator === 'MatMul' && left === queries && right === keys) break;
    if (node?.operator !== 'Identity' && node?.operator !== 'Mul' && node?.operator !== 'Div') return undefined;
    if (node.operator !== 'Identity' && !isOne(b, right!)) return undefined;
    value = left!;
  }
  return terms.every((term) => isFinite(b, term)) ? { finite: scores, terms: [] } : { finite, terms };
}

const isOne = (b: GraphBuilder, value: ValueName): boolean => b.dims(value)?.every((dim) => dim === 1) ?? false;

/** Whether a term is the same for all queries. */
function isOfKeys(dims: readonly Dim[] | undefined): boolean {
  return dims?.length === 4 && dims[2] === 1 && dims[3] !== 1;
}

/** Whether a mask is some flags times a finite number, as BERT's. */
function isFinite(b: GraphBuilder, term: ValueName): boolean {
  const node = b.producer(term);
  return node?.operator === 'Mul' && node.inputs.some((input) => b.numbers(input)?.every(Number.isFinite) === true);
}

/** Scores are clipped there: masks go down to -inf, which times a probability of 0 would be no number. */
export const LEAST_SCORE = -1e4;

/** sum p s over the keys of each query, [batch, heads, rows]. */
export function expectedByQuery(b: GraphBuilder, p: ValueName, scores: ValueName): ValueName {
  return b.sum(b.mul(p, b.op('Max', [scores, b.scalar(LEAST_SCORE, scores)])), [3], false);
}

/**
 * sum p x over queries and keys, [batch, heads, 1], of x as large as p or the same for all heads: one pass through both, where
 * p x by element would be as large as they.
 */
export function productOfRows(b: GraphBuilder, p: ValueName, x: ValueName): ValueName {
  const row = (value: ValueName) => b.reshapeTo(value, [0, 0, 1, -1]);
  return b.squeeze(b.matmul(row(p), b.matrixTranspose(row(x))), [3]);
}

/**
 * sum p s over the queries and keys of each head, [batch, heads, 1]. What is masked has a probability of 0.
 */
export function expectedByHead(b: GraphBuilder, p: ValueName, { finite, terms }: ScoreParts): ValueName {
  let total = productOfRows(b, p, finite);
  for (const term of terms) {
    const column = b.unsqueeze(b.squeeze(b.op('Max', [term, b.scalar(LEAST_SCORE, term)]), [2]), [3]);
    total = b.add(total, b.sum(b.squeeze(b.matmul(p, column), [3]), [2]));
  }
  return total;
}
