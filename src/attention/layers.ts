import type { Scores } from '../explanation/index.ts';
import { GraphBuilder, UserError, isFloat } from '../onnx/index.ts';
import type { Model, NamedTensors, ValueName } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/index.ts';
import { findLayer } from '../programs/index.ts';
import { ATTENTION, finish, give, runAttention } from './graph.ts';

/** What becomes of a layer's output within the graph. */
export type LayerReduction = 'none' | 'mean' | 'norm' | 'largest';

export interface LayerCaptureOptions {
  /**
   * `none` (the default): as it is. `mean`: over axis 1, the positions of [batch, positions, hidden]. `norm`: the 2-norm over
   * the last axis. `largest`: the largest absolute value over the last axis, as of massive activations.
   */
  readonly reduce?: LayerReduction;
  /** Half-open range of positions, along axis 1, that is kept before. */
  readonly span?: readonly [number, number];
  readonly signal?: AbortSignal;
}

/**
 * Outputs of layers by path, as `listLayers` and `onnxray inspect` give it: hidden states, activations of feed-forward parts,
 * or any other value of floats. One forward pass for all. Throws a UserError for a path the model does not have.
 */
export async function captureLayers(
  host: ModelHost,
  tensors: NamedTensors,
  paths: readonly string[],
  { reduce = 'none', span, signal }: LayerCaptureOptions = {},
): Promise<Readonly<Record<string, Scores>>> {
  const values = paths.map((path) => findLayer(host.model, path).output);
  const compile = (model: Model) => {
    const b = new GraphBuilder(model);
    b.setOutputs([]);
    values.forEach((value, at) => {
      if (!isFloat(b.type(value)))
        throw new UserError(`layer "${paths[at]}" is of type ${b.type(value)}, not of floats`);
      const kept = span === undefined ? value : b.slice(value, b.int64s([span[0]]), b.int64s([span[1]]), [1]);
      give(b, reduced(b, kept, reduce, paths[at]!), ATTENTION.whole(String(at)));
    });
    return finish(b);
  };
  const request = { kind: 'captured-layers', values, reduce, span: span ?? null };
  const outputs = await runAttention(host, request, compile, tensors, signal);
  return Object.fromEntries(paths.map((path, at) => [path, outputs[ATTENTION.whole(String(at))]!]));
}

function reduced(b: GraphBuilder, value: ValueName, how: LayerReduction, path: string): ValueName {
  if (how === 'none') return value;
  const rank = b.rank(value);
  if (rank < (how === 'mean' ? 3 : 2))
    throw new UserError(`layer "${path}" has ${rank} axes: there is nothing to reduce by ${how}`);
  if (how === 'mean') return b.mean(value, [1], false);
  if (how === 'norm') return b.sqrt(b.sum(b.square(value), [rank - 1], false));
  return b.max(b.abs(value), [rank - 1], false);
}
