/** What a query's scores are on average over its attention, without going through them where the graph says what they are made of. */
import type { Dim, GraphBuilder, ValueName } from '../onnx/index.ts';
import type { AttentionBlock } from './locate.ts';

/** Scores as they were made: the product of queries and keys times factors, and terms that depend on the key alone. */
export interface ScoreParts {
  /** [batch, heads, rows, size]. */
  readonly queries: ValueName;
  /** [batch, heads, size, keys]. */
  readonly keys: ValueName;
  /** First to last. */
  readonly factors: readonly Factor[];
  /** Masks and biases, [batch or 1, heads or 1, 1, keys], each with the factors that apply to it. */
  readonly terms: readonly { readonly value: ValueName; readonly factors: readonly Factor[] }[];
}

interface Factor {
  readonly operator: 'Mul' | 'Div';
  /** One number. */
  readonly by: ValueName;
}

/**
 * Takes a block's scores apart: back from the softmax to the product through factors of one number and added terms that are
 * the same for every query, such as the mask of padding. Undefined where anything else stands between, or shapes are not
 * known to be of that kind.
 */
export function scoreParts(b: GraphBuilder, block: AttentionBlock): ScoreParts | undefined {
  const rank = (value: ValueName) => b.dims(value)?.length;
  if (rank(block.scores) !== 4 || rank(block.queries) !== 4 || rank(block.keys) !== 4) return undefined;
  const terms: { value: ValueName; factors: readonly Factor[] }[] = [];
  const factors: Factor[] = [];
  for (let value = block.scores, steps = 0; steps < 8; steps++) {
    const node = b.producer(value);
    const [left, right] = node?.inputs ?? [];
    switch (node?.operator) {
      case 'MatMul':
        return left === block.queries && right === block.keys
          ? { queries: left, keys: right, factors: factors.toReversed(), terms }
          : undefined;
      case 'Identity':
        value = left!;
        break;
      case 'Mul':
      case 'Div': {
        const [scaled, by] = isOne(b, right!) || node.operator === 'Div' ? [left!, right!] : [right!, left!];
        if (!isOne(b, by)) return undefined;
        factors.push({ operator: node.operator, by });
        value = scaled;
        break;
      }
      case 'Add': {
        const [rest, term] = isOfKeys(b.dims(right!)) ? [left!, right!] : [right!, left!];
        if (!isOfKeys(b.dims(term))) return undefined;
        terms.push({ value: term, factors: factors.toReversed() });
        value = rest;
        break;
      }
      default:
        return undefined;
    }
  }
  return undefined;
}

const isOne = (b: GraphBuilder, value: ValueName): boolean => b.dims(value)?.every((dim) => dim === 1) ?? false;

/** Whether a term is the same for all queries. */
function isOfKeys(dims: readonly Dim[] | undefined): boolean {
  return dims?.length === 4 && dims[2] === 1 && dims[3] !== 1;
}

/** Scores are clipped there: masks go down to -inf, which times a probability of 0 would be no number. */
export const LEAST_SCORE = -1e4;

/**
 * sum p s over the keys of each query, [batch, heads, rows]. As s = f q k + m, that is f q (sum p k) + sum p m: two products of
 * the probabilities with narrow matrices, which go through them once, where p s would be as large as they.
 */
export function expectedScore(b: GraphBuilder, p: ValueName, { queries, keys, factors, terms }: ScoreParts): ValueName {
  const scaled = (value: ValueName, by: readonly Factor[]) =>
    by.reduce(
      (result, factor) => (factor.operator === 'Mul' ? b.mul(result, factor.by) : b.div(result, factor.by)),
      value,
    );
  const attended = b.matmul(p, b.matrixTranspose(keys));
  let total = scaled(b.sum(b.mul(queries, attended), [3]), factors);
  for (const term of terms) {
    const value = b.op('Max', [scaled(term.value, term.factors), b.scalar(LEAST_SCORE, term.value)]);
    // No Transpose, which onnxruntime would draw into a product that is ten times slower with it.
    total = b.add(total, b.matmul(p, b.unsqueeze(b.squeeze(value, [2]), [3])));
  }
  return b.squeeze(total, [3]);
}
