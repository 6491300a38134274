import { int } from '../onnx/index.ts';
import type { GraphBuilder, Model, NamedTensors, ValueName } from '../onnx/index.ts';
import type { Scores } from '../explanation/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { chainOf, checkOneRow, identityLike, onlyRow, rowsToOne, stackOf } from './chain.ts';
import type { Stack } from './chain.ts';
import { ATTENTION, chooseBlocks, finish, give, openAttention, runAttention } from './graph.ts';
import type { HeadFusion } from './reductions.ts';
import { fuseHeads } from './reductions.ts';

export interface RolloutOptions {
  /** Layers of which stack; the encoder's where there is one, unless said. */
  readonly stack?: Stack;
  /** Weight of the residual connection, 0 to 1. Default 0.5. */
  readonly residual?: number;
  /** How heads become one. Default mean. */
  readonly fusion?: HeadFusion;
  /** Share of each layer's smallest weights that is dropped, 0 to 1; the first of the matrix stays. Default 0. */
  readonly discard?: number;
  readonly signal?: AbortSignal;
}

/**
 * Attention rollout, Abnar & Zuidema 2020, https://arxiv.org/abs/2005.00928: A' = residual I + (1 - residual) A of the fused
 * heads, rows made one, multiplied through the layers within the graph: [queries, keys], one forward pass. Head fusion and
 * discarding as in Gildenblat's Vision Transformer explainability. It follows where attention could have carried
 * something, not what was carried.
 */
export async function rollout(host: ModelHost, tensors: NamedTensors, options: RolloutOptions = {}): Promise<Scores> {
  const { stack, residual = 0.5, fusion = 'mean', discard = 0, signal } = options;
  checkOneRow(tensors, 'rollout');
  const blocks = stackOf(chooseBlocks(host.model), stack).map(({ index }) => index);
  const compile = (model: Model) => {
    const { b, blocks: open } = openAttention(model, blocks);
    const layers = open.map(({ probabilities }) => {
      const fused = dropSmallest(b, onlyRow(b, fuseHeads(b, probabilities, fusion)), discard);
      return withResidual(b, fused, residual);
    });
    give(b, chainOf(b, layers), ATTENTION.whole('rollout'));
    return finish(b);
  };
  const request = { kind: 'rollout', blocks, residual, fusion, discard };
  const outputs = await runAttention(host, request, compile, tensors, signal);
  return outputs[ATTENTION.whole('rollout')]!;
}

/**
 * Heads fused and the residual added, of each layer of a stack, [queries, keys]: what flow goes through.
 */
export async function layerMatrices(
  host: ModelHost,
  tensors: NamedTensors,
  { stack, residual = 0.5, fusion = 'mean', signal }: RolloutOptions = {},
): Promise<readonly Scores[]> {
  checkOneRow(tensors, 'flow');
  const blocks = stackOf(chooseBlocks(host.model), stack).map(({ index }) => index);
  const compile = (model: Model) => {
    const { b, blocks: open } = openAttention(model, blocks);
    for (const { block, probabilities } of open)
      give(
        b,
        withResidual(b, onlyRow(b, fuseHeads(b, probabilities, fusion)), residual),
        ATTENTION.output(block.index, 'layer'),
      );
    return finish(b);
  };
  const outputs = await runAttention(host, { kind: 'layers', blocks, residual, fusion }, compile, tensors, signal);
  return blocks.map((index) => outputs[ATTENTION.output(index, 'layer')]!);
}

function withResidual(b: GraphBuilder, fused: ValueName, residual: number): ValueName {
  const eye = b.mul(identityLike(b, fused), b.scalar(residual, fused));
  return rowsToOne(b, b.add(eye, b.mul(fused, b.scalar(1 - residual, fused))));
}

/** The smallest share of a matrix set to zero, but for its first element. */
function dropSmallest(b: GraphBuilder, matrix: ValueName, share: number): ValueName {
  if (share === 0) return matrix;
  const flat = b.reshapeTo(matrix, [-1]);
  const size = b.cast(b.dimension(flat, 0), 'float64');
  const count = b.cast(b.op('Floor', [b.mul(size, b.constant('float64', [], [share]))]), 'int64');
  const name = b.unusedName('onnxray/TopK');
  const places = `${name}:1`;
  b.push({
    name,
    operator: 'TopK',
    domain: '',
    inputs: [flat, count],
    outputs: [`${name}:0`, places],
    attributes: { axis: int(0), largest: int(0), sorted: int(0) },
  });
  const dropped = b.op('ScatterElements', [flat, places, b.zerosOf(places, flat)], { axis: int(0) });
  const zero = b.int64s([0]);
  const first = b.op('ScatterElements', [dropped, zero, b.gather(flat, zero, 0)], { axis: int(0) });
  return b.reshapeLike(first, matrix);
}
