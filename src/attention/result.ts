import type { ModelRef, RuntimeInfo, Scores, TargetRef } from '../explanation/index.ts';
import type { OptionValue } from '../programs/index.ts';
import type { AttentionBlock } from './locate.ts';

/** Numbers with what their axes are. */
export interface Measured extends Scores {
  readonly axes: readonly Axis[];
  /** What stands along the `class` axis. */
  readonly classes?: readonly string[];
}

export type Axis = 'batch' | 'head' | 'query' | 'key' | 'size' | 'hidden' | 'class' | 'rank';

/** One block of attention in a result. */
export interface BlockResult extends Pick<AttentionBlock, 'index' | 'layer' | 'kind' | 'path' | 'heads'> {
  /** The heads that the numbers are of, where only some were asked for. */
  readonly only?: readonly number[];
  readonly queries: number;
  readonly keys: number;
  /** [batch, heads, queries, keys]. */
  readonly probabilities?: Measured;
  /** What the analysis makes of the block. */
  readonly measure?: Measured;
  /** Of `neuron`: queries and keys as they stand in their product, [batch, heads, positions, size]. */
  readonly vectors?: { readonly queries: Measured; readonly keys: Measured };
  /** Of `top`: the keys the measure is of, in its shape. */
  readonly topKeys?: readonly number[];
}

/** What an analysis found; plain data, to JSON and back. */
export interface AttentionResult {
  readonly analysis: string;
  readonly options: Readonly<Record<string, OptionValue>>;
  readonly model: ModelRef;
  readonly blocks: readonly BlockResult[];
  /** The tokens as the model saw them, for text. */
  readonly tokens?: readonly string[];
  /** Of analyses through all layers: [queries, keys]. */
  readonly map?: Measured;
  /** Further maps, of encoder, decoder and cross-attention. */
  readonly maps?: Readonly<Record<string, Measured>>;
  /** Positions of the queries that the rows of `map` are, where not all. */
  readonly rows?: readonly number[];
  /** Of `clusters`. */
  readonly places?: readonly {
    readonly block: number;
    readonly layer: number;
    readonly head: number;
    readonly x: number;
    readonly y: number;
    readonly cluster: number;
  }[];
  readonly distances?: Measured;
  /** Share of the squared distances that the plane holds; a map by UMAP has none. */
  readonly explained?: number;
  /** Of `sinks`. */
  readonly sinks?: readonly {
    readonly block: number;
    readonly layer: number;
    readonly head: number;
    readonly key: number;
    readonly token: string | null;
    readonly mass: number;
  }[];
  /** Of `dependencies`. */
  readonly relations?: readonly {
    readonly relation: string;
    readonly count: number;
    readonly block: number;
    readonly layer: number;
    readonly head: number;
    readonly direction: string;
    readonly accuracy: number;
    readonly offset: number;
    readonly baseline: number;
  }[];
  /** What gradients were taken of. */
  readonly output?: string;
  readonly target?: TargetRef;
  readonly warnings: readonly string[];
  readonly runtime: Omit<RuntimeInfo, 'passes'>;
}

/** What one analysis contributes to a result. */
export type Found = Partial<
  Pick<
    AttentionResult,
    'map' | 'maps' | 'rows' | 'places' | 'distances' | 'explained' | 'sinks' | 'relations' | 'warnings'
  >
> & { readonly blocks: readonly BlockResult[] };

/** JSON of a result: tensors as plain lists, numbers that are none as null. */
export function serializeAttention(result: AttentionResult): string {
  return JSON.stringify(result, (_key, value: unknown) =>
    value instanceof Float32Array || value instanceof Float64Array ? Array.from(value) : value,
  );
}

/** The result that `serializeAttention` wrote: lists of numbers are arrays of floats again, null is NaN. Throws on broken JSON. */
export function parseAttention(text: string): AttentionResult {
  return JSON.parse(text, (key, value: unknown) =>
    key === 'data' && Array.isArray(value) ? Float32Array.from(value, toNumber) : value,
  ) as AttentionResult;
}

function toNumber(value: unknown): number {
  return typeof value === 'number' ? value : Number.NaN;
}
