import type { Scores } from '../explanation/index.ts';
import { UserError } from '../onnx/index.ts';
import type { NamedTensors } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import type { RolloutOptions } from './rollout.ts';
import { layerMatrices } from './rollout.ts';

export interface FlowOptions extends Omit<RolloutOptions, 'discard'> {
  /** The tokens at the end whose flow is wanted; all unless said. */
  readonly queries?: readonly number[];
  /** Pairs of tokens that are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** No longer than this is anything else of the thread kept waiting, such as a server's other requests or a page's next frame. */
const TURN_MS = 12;

/**
 * Attention flow, Abnar & Zuidema 2020, https://arxiv.org/abs/2005.00928: the maximum flow from each token at the end to each
 * at the start, through layers whose edges carry at most the fused attention with its residual; rows made one: [queries,
 * keys]. One forward pass, then one maximum flow per pair: their time grows with tokens^2 per pair and layer. They are computed
 * in turns with whatever else the thread has to do, and stop when the signal says so.
 */
export async function flow(
  host: ModelHost,
  tensors: NamedTensors,
  { queries, onProgress, ...options }: FlowOptions = {},
): Promise<Scores> {
  const layers = await layerMatrices(host, tensors, options);
  const size = layers[0]!.dims[0]!;
  if (layers.some(({ dims }) => dims[0] !== size || dims[1] !== size))
    throw new UserError('the layers attend over different numbers of tokens: nothing flows through all of them');
  const chosen = queries ?? Array.from({ length: size }, (_, query) => query);
  const data = new Float32Array(chosen.length * size);
  let until = performance.now() + TURN_MS;
  for (let pair = 0; pair < data.length; pair++) {
    const steps = flowSteps(layers, chosen[Math.floor(pair / size)]!, pair % size);
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) {
      if (performance.now() < until) continue;
      onProgress?.(pair, data.length);
      await new Promise((next) => setTimeout(next));
      options.signal?.throwIfAborted();
      until = performance.now() + TURN_MS;
    }
    data[pair] = step.value;
  }
  for (let row = 0; row < chosen.length; row++) {
    const own = data.subarray(row * size, (row + 1) * size);
    const total = own.reduce((sum, each) => sum + each, 0);
    if (total > 0) own.forEach((each, key) => (own[key] = each / total));
  }
  return { dims: [chosen.length, size], data };
}

/** Capacities below this are rounding. */
const NOTHING = 1e-12;

/**
 * The maximum flow from a token of the last layer's output to one of the first layer's input (Dinic). Nodes are (layer,
 * token), layer 0 the input; `layers[l][i, j]` is the capacity from (l + 1, i) to (l, j).
 */
export function maximumFlow(layers: readonly Scores[], source: number, sink: number): number {
  const steps = flowSteps(layers, source, sink);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** The same, step by step: between two of them something else may be done. */
function* flowSteps(layers: readonly Scores[], source: number, sink: number): Generator<undefined, number> {
  const size = layers[0]!.dims[0]!;
  const depth = layers.length;
  const forward = layers.map(({ data }) => Float64Array.from(data));
  const backward = layers.map(({ data }) => new Float64Array(data.length));
  const node = (layer: number, token: number) => layer * size + token;
  const [start, end] = [node(depth, source), node(0, sink)];
  const levels = new Int32Array((depth + 1) * size);
  const next = new Int32Array((depth + 1) * size);

  /** Neighbours of a node: first those one layer down, then those one layer up, over what flows to it from there. */
  const residual = (from: number, at: number): { readonly to: number; readonly left: number } | undefined => {
    const [layer, token] = [Math.floor(from / size), from % size];
    if (at < size)
      return layer === 0 ? undefined : { to: node(layer - 1, at), left: forward[layer - 1]![token * size + at]! };
    const above = at - size;
    return layer === depth ? undefined : { to: node(layer + 1, above), left: backward[layer]![above * size + token]! };
  };
  const push = (from: number, at: number, amount: number): void => {
    const [layer, token] = [Math.floor(from / size), from % size];
    const down = at < size;
    const edge = down ? token * size + at : (at - size) * size + token;
    const place = down ? layer - 1 : layer;
    forward[place]![edge]! += down ? -amount : amount;
    backward[place]![edge]! += down ? amount : -amount;
  };
  const reachable = (): boolean => {
    levels.fill(-1);
    levels[start] = 0;
    const queue = [start];
    for (let head = 0; head < queue.length; head++) {
      const from = queue[head]!;
      for (let at = 0; at < 2 * size; at++) {
        const edge = residual(from, at);
        if (edge === undefined || edge.left <= NOTHING || levels[edge.to] !== -1) continue;
        levels[edge.to] = levels[from]! + 1;
        queue.push(edge.to);
      }
    }
    return levels[end] !== -1;
  };
  const augment = (from: number, amount: number): number => {
    if (from === end) return amount;
    for (; next[from]! < 2 * size; next[from]!++) {
      const at = next[from]!;
      const edge = residual(from, at);
      if (edge === undefined || edge.left <= NOTHING || levels[edge.to] !== levels[from]! + 1) continue;
      const pushed = augment(edge.to, Math.min(amount, edge.left));
      if (pushed <= NOTHING) continue;
      push(from, at, pushed);
      return pushed;
    }
    return 0;
  };
  let total = 0;
  while (reachable()) {
    yield;
    next.fill(0);
    for (let pushed = augment(start, Infinity); pushed > NOTHING; pushed = augment(start, Infinity)) {
      total += pushed;
      yield;
    }
  }
  return total;
}
