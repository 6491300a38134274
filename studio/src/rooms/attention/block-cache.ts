import type { AttentionView, PackedBlock } from '../../engine/engine.ts';

/** Bytes of blocks kept in the page. */
const KEPT = 96 * 2 ** 20;

/** Whole blocks of a view, fetched once; the ones unused for longest go when there are too many. */
export class BlockCache {
  readonly #view: AttentionView;
  readonly #blocks = new Map<number, PackedBlock>();

  constructor(view: AttentionView) {
    this.#view = view;
  }

  async get(index: number, signal: AbortSignal): Promise<PackedBlock> {
    const block = this.#blocks.get(index) ?? (await this.#view.block(index, signal));
    this.#blocks.delete(index);
    this.#blocks.set(index, block);
    let bytes = 0;
    for (const { data } of this.#blocks.values()) bytes += data.byteLength;
    for (const [oldest, { data }] of this.#blocks) {
      if (bytes <= KEPT || oldest === index) break;
      this.#blocks.delete(oldest);
      bytes -= data.byteLength;
    }
    return block;
  }
}
