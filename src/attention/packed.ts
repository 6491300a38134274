/** Attention of one input, kept as 16-bit numbers and handed out block by block. */
import { UserError } from '../onnx/index.ts';
import type { NamedTensors } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { captureAttention } from './capture.ts';
import { locateAttention } from './locate.ts';
import { pack, shrink } from './pack.ts';
import type { PackedBlock } from './pack.ts';
import type { AttentionBlock } from './locate.ts';
import { rollout } from './rollout.ts';

/** A block as the page lists it. */
export type ListedBlock = Pick<AttentionBlock, 'index' | 'layer' | 'kind' | 'path'> &
  Pick<PackedBlock, 'heads' | 'queries' | 'keys'> & {
    /** Per head: mean entropy of its rows in nats, mean greatest probability, mean distance in tokens. */
    readonly measures: Readonly<Record<string, readonly number[]>>;
    /** Rows and columns of a head in the overview. */
    readonly small: readonly [number, number];
  };

export interface AttentionOverview {
  /** Tokens, or the numbers of places where there are none. */
  readonly tokens: readonly string[];
  readonly blocks: readonly ListedBlock[];
}

/** Queries and keys of one head as they stand in their product, scaling included where the model scales them: [places, size]. */
export interface HeadVectors {
  readonly size: number;
  readonly queries: Float32Array;
  readonly keys: Float32Array;
}

/** Rows and columns a head has at most in the overview. */
const SMALL = 64;
/** Bytes of probabilities one run may give, and of packed blocks that are kept. */
const RUN_BYTES = 64 * 2 ** 20;
const KEPT_BYTES = 256 * 2 ** 20;

/** The attention of a model for one input. Blocks that do not fit in memory are computed again when asked for. */
export class CapturedAttention {
  readonly #host: ModelHost;
  readonly #tensors: NamedTensors;
  readonly #tokens: readonly string[] | undefined;
  readonly #runBytes: number;
  readonly #packed = new Map<number, PackedBlock>();
  #bytes = 0;

  /**
   * `tensors`: the model's inputs with a batch of 1; `tokens`: what to call the places, where they have names; `runBytes`: of
   * probabilities that one run may give.
   */
  constructor(host: ModelHost, tensors: NamedTensors, tokens?: readonly string[], runBytes = RUN_BYTES) {
    this.#host = host;
    this.#tensors = tensors;
    this.#tokens = tokens;
    this.#runBytes = runBytes;
  }

  /**
   * Runs the model once and returns what the page shows first: the blocks with their measures, and each head at most 64 x 64
   * large, the greatest of the probabilities a cell stands for, one byte each. Where all probabilities together would be too
   * many, the cells are made in the graph, and blocks come when they are asked for.
   */
  async overview(
    signal: AbortSignal,
    onProgress: (done: number, total: number) => void,
  ): Promise<AttentionOverview & { readonly pixels: Uint8Array }> {
    const located = locateAttention(this.#host.model);
    if (located.length === 0) throw new UserError('no attention was found in this model');
    onProgress(0, 1);
    const whole = this.#blocksPerRun(located) >= located.length;
    const cells = Math.max(1, Math.ceil(this.#places() / SMALL));
    const captured = await captureAttention(this.#host, this.#tensors, {
      values: [whole ? 'probabilities' : { cells }, 'size', ...MEASURES],
      signal,
    });
    const blocks: ListedBlock[] = [];
    const pixels: Uint8Array[] = [];
    let places = 0;
    for (const { block, values } of captured) {
      const [, heads, queries, keys] = Array.from(values['size']!.data) as [number, number, number, number];
      places = Math.max(places, queries, keys);
      const measures = Object.fromEntries(
        MEASURES.flatMap((name) => (values[name] === undefined ? [] : [[name, Array.from(values[name].data)]])),
      );
      const small = [Math.ceil(queries / cells), Math.ceil(keys / cells)] as const;
      const { index, layer, kind, path } = block;
      blocks.push({ index, layer, kind, path, heads, queries, keys, measures, small });
      pixels.push(
        whole
          ? shrink(this.#keep(index, pack(values['probabilities']!)), cells)
          : bytesOf(values['cells']!.data, heads * small[0] * small[1]),
      );
    }
    onProgress(1, 1);
    return {
      tokens: this.#tokens ?? Array.from({ length: places }, (_, index) => String(index)),
      blocks,
      pixels: joined(pixels),
    };
  }

  /** One block whole. Its neighbours come from the same run and are kept: they are looked at next. */
  async block(index: number, signal: AbortSignal): Promise<PackedBlock> {
    const kept = this.#packed.get(index);
    if (kept !== undefined) return kept;
    const located = locateAttention(this.#host.model);
    if (located[index] === undefined) throw new UserError(`there is no block ${index} in this model`);
    const step = this.#blocksPerRun(located);
    const first = Math.floor(index / step) * step;
    const captured = await captureAttention(this.#host, this.#tensors, {
      blocks: located.slice(first, first + step).map((block) => block.index),
      signal,
    });
    const packed = captured.map(({ block, values }) => [block.index, pack(values['probabilities']!)] as const);
    for (const [each, block] of packed) this.#keep(each, block);
    return packed.find(([each]) => each === index)![1];
  }

  /** Attention rollout through the layers: [1, queries, keys]. */
  async rollout(signal: AbortSignal): Promise<PackedBlock> {
    const scores = await rollout(this.#host, this.#tensors, { signal });
    return pack(scores);
  }

  /** The vectors of one head, whose products make its attention scores. */
  async vectors(index: number, head: number, signal: AbortSignal): Promise<HeadVectors> {
    const [captured] = await captureAttention(this.#host, this.#tensors, {
      blocks: [index],
      heads: [head],
      values: ['queries', 'keys'],
      signal,
    });
    if (captured === undefined) throw new UserError(`there is no block ${index} in this model`);
    const { queries, keys } = captured.values;
    return {
      size: queries!.dims.at(-1)!,
      queries: Float32Array.from(queries!.data),
      keys: Float32Array.from(keys!.data),
    };
  }

  #blocksPerRun(located: readonly AttentionBlock[]): number {
    const heads = Math.max(...located.map((block) => block.heads ?? 16));
    return Math.max(1, Math.floor(this.#runBytes / (heads * this.#places() ** 2 * 4)));
  }

  /** How many queries and keys there are at most, as far as the inputs tell. */
  #places(): number {
    return this.#tokens?.length ?? Math.max(256, ...Object.values(this.#tensors).map(({ dims }) => dims[1] ?? 1));
  }

  #keep(index: number, packed: PackedBlock): PackedBlock {
    if (this.#bytes + packed.data.byteLength <= KEPT_BYTES && !this.#packed.has(index)) {
      this.#packed.set(index, packed);
      this.#bytes += packed.data.byteLength;
    }
    return packed;
  }
}

/** The first `length` probabilities as bytes, 255 for 1. */
function bytesOf(data: ArrayLike<number>, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Math.round(Math.min(1, Math.max(0, data[i]!)) * 255));
}

const MEASURES = ['entropy', 'confidence', 'distance'] as const;

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
