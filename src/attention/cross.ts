import { UserError } from '../onnx/index.ts';
import type { NamedTensors } from '../onnx/index.ts';
import type { Scores } from '../explanation/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { captureAttention } from './capture.ts';
import { locateAttention } from './locate.ts';
import type { HeadFusion } from './reductions.ts';

export interface CrossOptions {
  /** Index of the only block; all of cross-attention unless said. */
  readonly blocks?: readonly number[];
  /** How heads become one. Default mean. */
  readonly fusion?: HeadFusion;
  readonly signal?: AbortSignal;
}

/**
 * Where each word of a decoder looks in what was encoded, such as the patches of a picture that is captioned: cross-attention
 * with its heads fused, the mean over layers, [queries, keys]. One forward pass.
 * Throws a UserError when the model has no cross-attention, or the batch is not 1.
 */
export async function crossAttention(
  host: ModelHost,
  tensors: NamedTensors,
  { blocks, fusion = 'mean', signal }: CrossOptions = {},
): Promise<Scores> {
  const cross = locateAttention(host.model).filter(
    ({ kind, index }) => kind === 'cross' && (blocks === undefined || blocks.includes(index)),
  );
  if (cross.length === 0)
    throw new UserError('the model has no cross-attention there: nothing looks from one sequence at another');
  const found = await captureAttention(host, tensors, {
    blocks: cross.map(({ index }) => index),
    values: [{ fused: fusion }],
    ...(signal === undefined ? {} : { signal }),
  });
  const layers = found.map(({ values }) => values[`fused ${fusion}`]!);
  const [batch, queries, keys] = layers[0]!.dims as [number, number, number];
  if (batch !== 1) throw new UserError(`cross is for a batch of 1, not ${batch}`);
  const data = new Float32Array(queries * keys);
  for (const layer of layers) {
    if (layer.data.length !== data.length)
      throw new UserError('the layers look at different numbers of keys: choose one with --layer');
    for (let at = 0; at < data.length; at++) data[at]! += layer.data[at]! / layers.length;
  }
  return { dims: [queries, keys], data };
}
