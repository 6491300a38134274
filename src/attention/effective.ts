import type { Model, NamedTensors } from '../onnx/index.ts';
import type { Scores } from '../explanation/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { UserError } from '../onnx/index.ts';
import { checkOneRow, onlyRow } from './chain.ts';
import { symmetricEigen } from './eigen.ts';
import { ATTENTION, chooseBlocks, finish, give, openAttention, runAttention } from './graph.ts';
import type { AttentionBlock } from './locate.ts';
import { headVectors } from './norms.ts';

export interface EffectiveOptions {
  readonly blocks?: readonly number[];
  readonly heads?: readonly number[];
  readonly signal?: AbortSignal;
}

/**
 * Effective attention, Brunner et al. 2020, https://arxiv.org/abs/1908.04211: attention without its part in the left null
 * space of T = x W_V W_O, which no output depends on: A projected on the column space of T, [1, heads, queries, keys]. It
 * differs from A only where there are more keys than a head has dimensions, may be negative, and does not sum to one. The
 * Gram matrix of T [heads, keys, keys] leaves the graph with A; singular values below 1e-5 of the largest count as zero.
 */
export async function effectiveAttention(
  host: ModelHost,
  tensors: NamedTensors,
  { blocks, heads, signal }: EffectiveOptions = {},
): Promise<readonly { readonly block: AttentionBlock; readonly attention: Scores }[]> {
  checkOneRow(tensors, 'effective attention');
  const located = chooseBlocks(host.model, blocks);
  const indices = located.map(({ index }) => index);
  const compile = (model: Model) => {
    const { b, blocks: open } = openAttention(model, indices);
    const pick = (value: string) => (heads === undefined ? value : b.gather(value, b.int64s(heads), 0));
    for (const { block, probabilities } of open) {
      if (block.projection === null)
        throw new UserError(
          `${block.path}: no output projection was found after its attention, which this analysis needs`,
        );
      const t = pick(headVectors(b, block, block.projection));
      give(b, b.matmul(t, b.matrixTranspose(t)), ATTENTION.output(block.index, 'gram'));
      give(b, pick(onlyRow(b, probabilities)), ATTENTION.output(block.index, 'probabilities'));
    }
    return finish(b);
  };
  const request = { kind: 'effective', blocks: indices, heads: heads ?? null };
  const outputs = await runAttention(host, request, compile, tensors, signal);
  return located.map((block) => {
    const gram = outputs[ATTENTION.output(block.index, 'gram')]!;
    const a = outputs[ATTENTION.output(block.index, 'probabilities')]!;
    const [count, queries, keys] = a.dims as [number, number, number];
    const data = new Float32Array(a.data.length);
    for (let head = 0; head < count; head++)
      data.set(
        projected(
          a.data.subarray(head * queries * keys, (head + 1) * queries * keys),
          keys,
          gram.data.subarray(head * keys * keys, (head + 1) * keys * keys),
        ),
        head * queries * keys,
      );
    return { block, attention: { dims: [1, count, queries, keys], data } };
  });
}

/** The rows of A [queries, keys] projected on the space of the eigenvectors of a Gram matrix that are not null. */
function projected(a: ArrayLike<number>, keys: number, gram: ArrayLike<number>): Float32Array {
  const { values, vectors } = symmetricEigen(gram, keys);
  // The Gram matrix has the squares of the singular values, with float32's noise.
  const kept = vectors.filter((_, at) => values[at]! > 1e-5 * values[0]!);
  const rows = a.length / keys;
  const result = new Float32Array(a.length);
  for (let row = 0; row < rows; row++)
    for (const vector of kept) {
      let along = 0;
      for (let key = 0; key < keys; key++) along += a[row * keys + key]! * vector[key]!;
      for (let key = 0; key < keys; key++) result[row * keys + key]! += along * vector[key]!;
    }
  return result;
}
