/** What attention says of each token, made in the graph from the probabilities of a tower's layers. */
import { appendGradients } from '../autodiff/index.ts';
import type { RuleTable } from '../autodiff/index.ts';
import type { GraphBuilder, ValueName } from '../onnx/index.ts';
import { copyNodes } from './copies.ts';
import { PROGRAM } from './names.ts';

export type AttentionForm = 'rollout' | 'chefer' | 'legrad';

/** One layer's self-attention. */
export interface TowerBlock {
  /** [rows, heads, queries, keys], or with rows and heads as one axis. */
  readonly probabilities: ValueName;
  /** Probabilities times values. */
  readonly context: ValueName;
  readonly heads: number | null;
  /** The tokens as the layer leaves them, [rows, tokens, hidden]; legrad asks for it. */
  readonly stream?: ValueName;
}

/** Layers of attention that follow one another over the tokens of one input. */
export interface Tower {
  readonly input: string;
  readonly blocks: readonly TowerBlock[];
}

export interface AttentionMapRequest {
  readonly form: AttentionForm;
  readonly towers: readonly Tower[];
  /** Of legrad: what each layer's answer is read off, the mean of its tokens or what the model itself reads. */
  readonly pool?: 'mean' | 'model';
}

/** The values of a request, which passes must leave as they are. */
export function attentionValues({ towers }: AttentionMapRequest): ValueName[] {
  return towers.flatMap(({ blocks }) =>
    blocks.flatMap(({ probabilities, context, stream }) => [probabilities, context, ...(stream ? [stream] : [])]),
  );
}

interface Scene {
  readonly result: ValueName;
  /** Weights of the result's elements, [1, ...]. */
  readonly target: ValueName;
  readonly seed: ValueName;
  readonly rules: RuleTable;
}

/** Appends each tower's map, [rows, tokens], as what is captured of `attention/<input>`. */
export function appendAttentionMaps(b: GraphBuilder, { form, towers, pool }: AttentionMapRequest, scene: Scene): void {
  for (const { input, blocks } of towers) {
    const map = form === 'legrad' ? legradMap(b, blocks, scene, pool) : throughLayers(b, form, blocks, scene);
    b.addOutput(b.cast(map, 'float32'), PROGRAM.captured(attentionMap(input)));
  }
}

export const attentionMap = (input: string): string => `attention/${input}`;

/** The rows of the layers' joint matrix that the answer is read off, averaged: [rows, tokens]. */
function throughLayers(
  b: GraphBuilder,
  form: 'rollout' | 'chefer',
  blocks: readonly TowerBlock[],
  { result, seed, rules }: Scene,
): ValueName {
  const last = blocks.at(-1)!;
  const wrt = [last.context, ...(form === 'chefer' ? blocks.map(({ probabilities }) => probabilities) : [])];
  const gradients = appendGradients(b, { of: result, wrt, seed, rules });
  let joint: ValueName | undefined;
  for (const { probabilities, heads } of blocks) {
    const attention = inFourAxes(b, probabilities, { heads });
    const eye = identityOf(b, attention);
    if (form === 'rollout') {
      // Rows of attention sum to one, and so do those of its mean with the identity.
      const half = b.scalar(0.5, attention);
      const step = b.mul(b.add(b.mean(attention, [1], false), eye), half);
      joint = joint === undefined ? step : b.matmul(step, joint);
    } else {
      const gradient = inFourAxes(b, gradients.get(probabilities)!, { heads });
      const evidence = b.mean(positive(b, b.mul(gradient, attention)), [1], false);
      joint = joint === undefined ? b.add(evidence, eye) : b.add(joint, b.matmul(evidence, joint));
    }
  }
  // Which tokens the answer is read off shows in the gradient behind the last attention: elsewhere it is zero.
  const sizes = b.sum(b.abs(inFourAxes(b, gradients.get(last.context)!, last)), [1, 3], false);
  const least = b.mul(b.max(sizes, [1]), b.scalar(1e-6, sizes));
  const read = b.cast(b.op('Greater', [sizes, least]), b.type(sizes));
  const weights = b.div(read, b.op('Max', [b.sum(read, [1]), b.scalar(1, read)]));
  return b.squeeze(b.matmul(b.unsqueeze(weights, [1]), joint!), [1]);
}

/** Mean over layers, heads and queries of the positive part of d s / d A, s what the model's head makes of that layer. */
function legradMap(
  b: GraphBuilder,
  blocks: readonly TowerBlock[],
  { result, target, rules }: Scene,
  pool: AttentionMapRequest['pool'] = 'mean',
): ValueName {
  const final = blocks.at(-1)!.stream!;
  const head = nodesFrom(b, final, result);
  const maps = blocks.map(({ probabilities, heads, stream }) => {
    const pooled = pool === 'mean' ? b.expandLike(b.mean(stream!, [1]), final) : stream!;
    const answer = copyNodes(b, head, new Map([[final, pooled]])).get(result) ?? result;
    const seed = b.op('Expand', [target, b.shape(answer)], {}, { dims: b.dims(result) });
    const gradient = appendGradients(b, { of: answer, wrt: [probabilities], seed, rules }).get(probabilities)!;
    return b.mean(positive(b, inFourAxes(b, gradient, { heads })), [1, 2], false);
  });
  const sum = maps.reduce((left, right) => b.add(left, right));
  return b.mul(sum, b.scalar(1 / maps.length, sum));
}

/** The nodes that lead from one value to another. */
function nodesFrom(b: GraphBuilder, from: ValueName, to: ValueName): ReturnType<GraphBuilder['nodes']> {
  const [after, before] = [new Set([from]), new Set([to])];
  const moved = b.nodes().filter((node) => {
    if (!node.inputs.some((name) => after.has(name))) return false;
    for (const name of node.outputs) after.add(name);
    return true;
  });
  return moved
    .toReversed()
    .filter((node) => {
      if (!node.outputs.some((name) => before.has(name))) return false;
      for (const name of node.inputs) before.add(name);
      return true;
    })
    .toReversed();
}

const positive = (b: GraphBuilder, value: ValueName): ValueName => b.op('Max', [value, b.scalar(0, value)]);

/**
 * A value of an attention block as [batch, heads, rows, columns]: rank 4 as it is, [batch * heads, ...] taken apart again, axes
 * put in where there is one head (rank 3) or one query too (rank 2). Windows, as further axes, count as batch.
 */
export function inFourAxes(b: GraphBuilder, value: ValueName, block: { readonly heads: number | null }): ValueName {
  const rank = b.rank(value);
  if (rank === 4) return value;
  if (rank === 2) return b.unsqueeze(value, [1, 2]);
  if (rank === 3 && (block.heads ?? 1) === 1) return b.unsqueeze(value, [1]);
  const heads = rank === 3 ? b.int64s([block.heads ?? 1]) : b.dimension(value, rank - 3);
  const [rows, columns] = [b.dimension(value, rank - 2), b.dimension(value, rank - 1)];
  const dims = b.dims(value) ?? [];
  return b.reshape(value, b.concat([b.int64s([-1]), heads, rows, columns], 0), [
    undefined,
    rank === 3 ? (block.heads ?? 1) : dims[rank - 3],
    dims[rank - 2],
    dims[rank - 1],
  ]);
}

/** [keys, keys]. */
function identityOf(b: GraphBuilder, attention: ValueName): ValueName {
  const own = b.positions(attention, 3);
  return b.cast(b.equal(b.unsqueeze(own, [1]), b.unsqueeze(own, [0])), b.type(attention));
}
