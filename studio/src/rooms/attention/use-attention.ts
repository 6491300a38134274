import { useEffect, useState } from 'preact/hooks';
import { pack } from 'onnxray/pack';
import type { AttentionResult, AttentionView, Control, PackedBlock } from '../../engine/engine.ts';
import { messageOf, useFrame, useWords } from '../../frame/context.ts';
import type { BlockCache } from './block-cache.ts';
import { ATTENTION_WORDS } from './words.ts';

export interface Loaded<T> {
  readonly value: T | undefined;
  readonly error: string | undefined;
}

/**
 * What `load` gives for a key: a key names a question, none asks nothing. Unlike a job of a room what is shown for another key
 * is not kept, since a picture of another layer would be mistaken for this one's.
 */
export function useLoaded<T>(
  key: string | undefined,
  label: string,
  view: AttentionView,
  load: (control: Control) => Promise<T>,
): Loaded<T> {
  const { jobs } = useFrame();
  const [found, setFound] = useState<{ key: string; view: AttentionView; value?: T; error?: string } | undefined>();
  useEffect(() => {
    if (key === undefined) return undefined;
    const controller = new AbortController();
    jobs.run(label, load, controller.signal).then(
      (value) => setFound({ key, view, value }),
      (error: unknown) => {
        if (!controller.signal.aborted) setFound({ key, view, error: messageOf(error) });
      },
    );
    return () => controller.abort();
  }, [key, view]);
  return found !== undefined && found.key === key && found.view === view
    ? { value: found.value, error: found.error }
    : { value: undefined, error: undefined };
}

/** A whole block. */
export function useBlock(view: AttentionView, cache: BlockCache, index: number): PackedBlock | undefined {
  const words = useWords(ATTENTION_WORDS);
  return useLoaded(`block ${index}`, words.waiting, view, ({ signal }) => cache.get(index, signal)).value;
}

/**
 * The map of an analysis through all layers as one head. Where it was made for one query, the rows of the others are empty.
 */
export function mapAsBlock({ map, rows }: AttentionResult, tokens: number): PackedBlock {
  if (map === undefined) throw new Error('the analysis has no map');
  const packed = pack(map);
  if (rows === undefined || packed.queries === packed.keys) return packed;
  const data = new Uint16Array(tokens * packed.keys);
  rows.forEach((query, row) =>
    data.set(packed.data.subarray(row * packed.keys, (row + 1) * packed.keys), query * packed.keys),
  );
  return { heads: 1, queries: tokens, keys: packed.keys, data };
}
