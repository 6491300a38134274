import { useMemo, useState } from 'preact/hooks';
import type { Theme } from 'onnxray/views';
import { pack, shrink } from 'onnxray/pack';
import type { ListedBlock, PackedBlock } from '../engine/engine.ts';
import { useLook } from '../frame/context.ts';
import { AttentionLegend } from '../parts/attention-legend.tsx';
import { HeadView } from '../parts/head-view.tsx';
import { Hover } from '../parts/hover.ts';
import { ModelView, layerName } from '../parts/model-view.tsx';
import { ATTENTION_WORDS } from '../rooms/attention/words.ts';

/** Attention as a page draws it. */
export interface ReadAttention {
  readonly tokens: readonly string[];
  readonly listed: readonly ListedBlock[];
  readonly blocks: readonly PackedBlock[];
  readonly pixels: Uint8Array;
}

/** Rows and columns of a head in the overview. */
const SMALL = 64;

/**
 * What `onnxray attention --json` prints: { tokens, blocks: [{ layer, kind, probabilities: { dims, data } }] }.
 * Throws an Error that says what is missing.
 */
export function readAttention(data: unknown): ReadAttention {
  const given: unknown = isRecord(data) ? data['blocks'] : undefined;
  if (!isRecord(data) || !Array.isArray(given)) throw new Error('attention is { tokens, blocks: [...] }');
  const blocks = given.map((block: unknown, index) => {
    const scores = isRecord(block) ? block['probabilities'] : undefined;
    if (!isRecord(scores) || !isNumbers(scores['dims']) || !isNumbers(scores['data']))
      throw new Error(`block ${index} has no "probabilities" with "dims" and "data"`);
    return pack({ dims: scores['dims'], data: Float32Array.from(scores['data']) });
  });
  if (blocks.length === 0) throw new Error('there are no blocks');
  const places = Math.max(...blocks.map(({ queries, keys }) => Math.max(queries, keys)));
  const cells = Math.max(1, Math.ceil(places / SMALL));
  const listed = blocks.map(({ heads, queries, keys }, index): ListedBlock => {
    const { layer, kind } = given[index] as { layer?: unknown; kind?: unknown };
    return {
      index,
      layer: typeof layer === 'number' ? layer : index,
      kind: kind === 'decoder' || kind === 'cross' ? kind : 'encoder',
      path: '',
      heads,
      queries,
      keys,
      measures: {},
      small: [Math.ceil(queries / cells), Math.ceil(keys / cells)],
    };
  });
  const parts = blocks.map((block) => shrink(block, cells));
  const pixels = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    pixels.set(part, at);
    at += part.length;
  }
  const named = Array.isArray(data['tokens']) ? data['tokens'].map(String) : [];
  return { tokens: Array.from({ length: places }, (_, i) => named[i] ?? String(i)), listed, blocks, pixels };
}

/** All heads at a glance, and one of them close. */
export function AttentionFigure({ attention, theme }: { readonly attention: ReadAttention; readonly theme: Theme }) {
  const words = ATTENTION_WORDS[useLook().language];
  const [{ row, head }, setChosen] = useState({ row: 0, head: 0 });
  const hover = useMemo(() => new Hover(), [attention]);
  const heads = useMemo(() => [head], [head]);
  const { listed, blocks, tokens, pixels } = attention;
  const name = `${layerName(listed[row]!)} · ${words.head(head)}`;
  return (
    <figure class="element">
      <ModelView
        blocks={listed}
        pixels={pixels}
        chosen={{ row, head }}
        onChoose={(nextRow, nextHead) => setChosen({ row: nextRow, head: nextHead })}
        hover={hover}
        theme={theme}
        label={words.overviewLabel(listed.length, Math.max(...listed.map((each) => each.heads)))}
        chosenLabel={name}
      />
      <AttentionLegend theme={theme} unit={words.unit} />
      <figcaption>
        <b>{name}</b>
      </figcaption>
      <HeadView
        tokens={tokens}
        block={blocks[row]!}
        heads={heads}
        hover={hover}
        theme={theme}
        label={`${words.headView}: ${name}`}
      />
    </figure>
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'number');
}
