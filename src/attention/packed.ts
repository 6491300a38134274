/** Attention of one input, kept as 16-bit numbers and handed out block by block. */
import { UserError } from '../onnx/index.ts';
import type { NamedTensors } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { captureAttention } from './capture.ts';
import type { CapturedBlock } from './capture.ts';
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
  readonly #packed = new Map<number, PackedBlock>();
  #bytes = 0;

  /** `tensors`: the model's inputs with a batch of 1; `tokens`: what to call the places, where they have names. */
  constructor(host: ModelHost, tensors: NamedTensors, tokens?: readonly string[]) {
    this.#host = host;
    this.#tensors = tensors;
    this.#tokens = tokens;
  }

  /**
   * Runs the model and returns what the page shows first: the blocks with their measures, and each head at most 64 x 64
   * large, the greatest of the probabilities a cell stands for, one byte each.
   */
  async overview(
    signal: AbortSignal,
    onProgress: (done: number, total: number) => void,
  ): Promise<AttentionOverview & { readonly pixels: Uint8Array }> {
    const located = locateAttention(this.#host.model);
    if (located.length === 0) throw new UserError('no attention was found in this model');
    const blocks: ListedBlock[] = [];
    const pixels: Uint8Array[] = [];
    let places = 0;
    const step = this.#blocksPerRun(located);
    for (let at = 0; at < located.length; at += step) {
      onProgress(at, located.length);
      const captured = await this.#capture(
        located.slice(at, at + step).map(({ index }) => index),
        signal,
      );
      for (const { block, values } of captured) {
        const packed = this.#keep(block.index, pack(values['probabilities']!));
        const { heads, queries, keys } = packed;
        places = Math.max(places, queries, keys);
        const measures = Object.fromEntries(
          MEASURES.flatMap((name) => (values[name] === undefined ? [] : [[name, Array.from(values[name].data)]])),
        );
        const small = [Math.min(SMALL, queries), Math.min(SMALL, keys)] as const;
        const { index, layer, kind, path } = block;
        blocks.push({ index, layer, kind, path, heads, queries, keys, measures, small });
        pixels.push(shrink(packed, small));
      }
    }
    onProgress(located.length, located.length);
    return {
      tokens: this.#tokens ?? Array.from({ length: places }, (_, index) => String(index)),
      blocks,
      pixels: joined(pixels),
    };
  }

  /** One block whole. */
  async block(index: number, signal: AbortSignal): Promise<PackedBlock> {
    const kept = this.#packed.get(index);
    if (kept !== undefined) return kept;
    const [captured] = await this.#capture([index], signal);
    return this.#keep(index, pack(captured!.values['probabilities']!));
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

  #capture(blocks: readonly number[], signal: AbortSignal): Promise<readonly CapturedBlock[]> {
    return captureAttention(this.#host, this.#tensors, {
      blocks,
      values: ['probabilities', ...MEASURES],
      signal,
    });
  }

  #blocksPerRun(located: readonly AttentionBlock[]): number {
    const heads = Math.max(...located.map((block) => block.heads ?? 16));
    const places =
      this.#tokens?.length ?? Math.max(256, ...Object.values(this.#tensors).map(({ dims }) => dims[1] ?? 1));
    return Math.max(1, Math.floor(RUN_BYTES / (heads * places * places * 4)));
  }

  #keep(index: number, packed: PackedBlock): PackedBlock {
    if (this.#bytes + packed.data.byteLength <= KEPT_BYTES && !this.#packed.has(index)) {
      this.#packed.set(index, packed);
      this.#bytes += packed.data.byteLength;
    }
    return packed;
  }
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
