import type { Model, NamedTensors } from '../onnx/index.ts';
import type { Scores } from '../explanation/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { UserError } from '../onnx/index.ts';
import { checkOneRow, onlyRow } from './chain.ts';
import { symmetricEigen } from './jacobi.ts';
import { inFourAxes } from '../programs/index.ts';
import { ATTENTION, chooseBlocks, finish, give, openAttention, runAttention } from './graph.ts';
import type { AttentionBlock } from './locate.ts';
import { headWeights } from './norms.ts';

export interface EffectiveOptions {
  readonly blocks?: readonly number[];
  readonly heads?: readonly number[];
  readonly signal?: AbortSignal;
}

/**
 * Effective attention, Brunner et al. 2020, https://arxiv.org/abs/1908.04211: attention without its part in the left null
 * space of T = x W_V W_O, which no output depends on: A projected on the column space of T, [1, heads, queries, keys]. It
 * differs from A only where there are more keys than a head has dimensions, may be negative, and does not sum to one. The
 * values and W_O W_O' leave the graph with A; singular values below 1e-5 of the largest count as zero.
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
      const values = onlyRow(b, inFourAxes(b, block.values, block));
      const out = headWeights(b, values, block.projection);
      give(b, pick(values), ATTENTION.output(block.index, 'values'));
      give(b, pick(b.matmul(out, b.matrixTranspose(out))), ATTENTION.output(block.index, 'weights'));
      give(b, pick(onlyRow(b, probabilities)), ATTENTION.output(block.index, 'probabilities'));
    }
    return finish(b);
  };
  const request = { kind: 'effective', blocks: indices, heads: heads ?? null };
  const outputs = await runAttention(host, request, compile, tensors, signal);
  return located.map((block) => {
    const [v, w, a] = ['values', 'weights', 'probabilities'].map(
      (what) => outputs[ATTENTION.output(block.index, what)]!,
    );
    const [count, queries, keys] = a!.dims as [number, number, number];
    const size = v!.dims[2]!;
    const data = new Float32Array(a!.data.length);
    const part = ({ data: whole }: Scores, head: number, length: number) =>
      whole.subarray(head * length, (head + 1) * length);
    for (let head = 0; head < count; head++) {
      const basis = columnSpace(part(v!, head, keys * size), part(w!, head, size * size), keys, size);
      data.set(projected(part(a!, head, queries * keys), basis, keys), head * queries * keys);
    }
    return { block, attention: { dims: [1, count, queries, keys], data } };
  });
}

/**
 * An orthonormal basis of the column space of T = V W, from V [keys, size] and W W' [size, size]: of B = V C with C C' = W W',
 * which has the same, by the eigenvectors of the small B'B.
 */
function columnSpace(v: ArrayLike<number>, weights: ArrayLike<number>, keys: number, size: number): Float64Array[] {
  const root = symmetricEigen(weights, size);
  const scaled = root.vectors.map((vector, at) =>
    vector.map((each) => each * Math.sqrt(Math.max(0, root.values[at]!))),
  );
  const columns = scaled.map((c) =>
    Float64Array.from({ length: keys }, (_, key) => {
      let sum = 0;
      for (let at = 0; at < size; at++) sum += v[key * size + at]! * c[at]!;
      return sum;
    }),
  );
  const gram = Float64Array.from({ length: size * size }, (_, at) =>
    dot(columns[Math.floor(at / size)]!, columns[at % size]!),
  );
  const { values, vectors } = symmetricEigen(gram, size);
  // Eigenvalues are squared singular values, with float32's noise.
  return vectors.flatMap((vector, at) => {
    if (!(values[at]! > 1e-10 * values[0]!) || at >= keys) return [];
    const along = Float64Array.from({ length: keys }, (_, key) => {
      let sum = 0;
      for (let column = 0; column < size; column++) sum += columns[column]![key]! * vector[column]!;
      return sum;
    });
    const length = Math.sqrt(dot(along, along));
    return length > 0 ? [along.map((each) => each / length)] : [];
  });
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at]! * b[at]!;
  return sum;
}

/** The rows of A [queries, keys] projected on the space of an orthonormal basis. */
function projected(a: ArrayLike<number>, basis: readonly Float64Array[], keys: number): Float32Array {
  const rows = a.length / keys;
  const result = new Float32Array(a.length);
  for (let row = 0; row < rows; row++)
    for (const vector of basis) {
      let along = 0;
      for (let key = 0; key < keys; key++) along += a[row * keys + key]! * vector[key]!;
      for (let key = 0; key < keys; key++) result[row * keys + key]! += along * vector[key]!;
    }
  return result;
}
