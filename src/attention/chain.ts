/** Layers of attention as a chain of matrices. */
import { UserError } from '../onnx/index.ts';
import type { GraphBuilder, NamedTensors, ValueName } from '../onnx/index.ts';
import type { AttentionBlock } from './locate.ts';

export type Stack = 'encoder' | 'decoder';

/**
 * The blocks of self-attention whose layers follow one another: of the encoder where there is one, else of the decoder.
 * Throws a UserError when there are none, or they are known to be of different lengths, as with windows and stages.
 */
export function stackOf(blocks: readonly AttentionBlock[], kind?: Stack): readonly AttentionBlock[] {
  const chosen = kind ?? (blocks.some((block) => block.kind === 'encoder') ? 'encoder' : 'decoder');
  const stack = blocks.filter((block) => block.kind === chosen);
  if (stack.length === 0)
    throw new UserError(
      `the model has no ${chosen} self-attention; its blocks are ${[...new Set(blocks.map((block) => block.kind))].join(', ')}`,
    );
  return stack;
}

/** One row at a time: what follows a token through the layers has no meaning across rows. */
export function checkOneRow(tensors: NamedTensors, what: string): void {
  for (const [name, { dims, type }] of Object.entries(tensors))
    if (dims.length > 1 && dims[0] !== 1 && type !== 'bool')
      throw new UserError(`${what} is for a batch of 1, the first axis: "${name}" has dims [${dims.join(', ')}]`);
}

/** A value [1, ...] without its batch, for programs of one row. Throws a UserError where windows stand in its place. */
export function onlyRow(b: GraphBuilder, value: ValueName): ValueName {
  const batch = b.dims(value)?.[0];
  if (typeof batch === 'number' && batch !== 1)
    throw new UserError(`the model attends in ${batch} windows or rows apart: nothing can be followed across them`);
  // Not Squeeze: onnxruntime 1.30 joins it with the Reshape that parted the heads into one whose shape is gone, and fails.
  return b.gather(value, b.constant('int64', [], [0]), 0);
}

/** The identity in the shape of square matrices [..., n, n], as [n, n]. */
export function identityLike(b: GraphBuilder, matrix: ValueName): ValueName {
  const rank = b.rank(matrix);
  const rows = b.unsqueeze(b.positions(matrix, rank - 2), [1]);
  const columns = b.unsqueeze(b.positions(matrix, rank - 1), [0]);
  return b.cast(b.equal(rows, columns), b.type(matrix));
}

/** Rows divided by their sums; rows of zeros stay. */
export function rowsToOne(b: GraphBuilder, matrix: ValueName): ValueName {
  const total = b.sum(matrix, [b.rank(matrix) - 1]);
  const zero = b.equal(total, b.scalar(0, total));
  return b.div(matrix, b.where(zero, b.scalar(1, total), total));
}

/** The product of matrices of layers from the last to the first. */
export function chainOf(b: GraphBuilder, matrices: readonly ValueName[]): ValueName {
  const lengths = new Set(matrices.flatMap((matrix) => b.dims(matrix)?.filter((dim) => typeof dim === 'number') ?? []));
  if (lengths.size > 1)
    throw new UserError(
      `the layers attend over different numbers of tokens (${[...lengths].join(', ')}): nothing can be followed through all of them`,
    );
  return matrices.reduce((joint, matrix) => b.matmul(matrix, joint));
}
