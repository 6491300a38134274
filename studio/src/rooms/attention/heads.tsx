import { useMemo, useState } from 'preact/hooks';
import type { AttentionView } from '../../engine/engine.ts';
import { useFrame, useHistory, useParam, useWords } from '../../frame/context.ts';
import { attentionExporter, canvasExporter } from '../../frame/export.ts';
import { readChoice } from '../../frame/params.ts';
import { atlasOf, probabilityTable } from '../../parts/attention-pixels.ts';
import { AttentionLegend } from '../../parts/attention-legend.tsx';
import { ExportMenu } from '../../parts/export-menu.tsx';
import { HeadView } from '../../parts/head-view.tsx';
import { Hover } from '../../parts/hover.ts';
import { ModelView, layerName } from '../../parts/model-view.tsx';
import { BlockCache } from './block-cache.ts';
import { CloserLook } from './closer-look.tsx';
import { HeadChips } from './head-chips.tsx';
import { MEASURES } from './head-map.tsx';
import { MatrixCard } from './matrix-card.tsx';
import { TopKeys } from './top-keys.tsx';
import { useBlock } from './use-attention.ts';
import { ATTENTION_WORDS } from './words.ts';

interface HeadsProps {
  readonly view: AttentionView;
  readonly model: string;
  readonly text: string;
}

/** All heads, one of them close, its matrix, and further views of it; a token under the pointer is marked in all. */
export function Heads({ view, model, text }: HeadsProps) {
  const { engine, state, theme, language } = useFrame();
  const { params } = useHistory().state;
  const words = useWords(ATTENTION_WORDS);
  const hover = useMemo(() => new Hover(), [view]);
  const cache = useMemo(() => new BlockCache(view), [view]);
  const [tiles, setMeasure] = useParam('tiles', 'attention');
  const measure = readChoice(tiles, ['attention', ...MEASURES], 'attention');
  const row = clamp(Number(params['layer'] ?? 0), view.blocks.length);
  const listed = view.blocks[row]!;
  const head = clamp(Number(params['head'] ?? 0), listed.heads);
  const [together, setTogether] = useState<readonly number[] | undefined>();
  const heads = useMemo(() => together ?? [head], [together, head]);
  const block = useBlock(view, cache, listed.index);
  const pinned = clamp(Number(params['token'] ?? 0), listed.queries);
  const choose = (nextRow: number, nextHead: number): void => {
    setTogether(undefined);
    state.change({ layer: String(nextRow), head: String(nextHead) });
  };
  const name = `${layerName(listed)} · ${words.head(head)}`;
  return (
    <>
      <article class="card">
        <header>
          <h2>{words.overview}</h2>
          <div class="inline">
            <label>
              {words.tile}{' '}
              <select value={measure} onChange={(event) => setMeasure(event.currentTarget.value)}>
                <option value="attention">{words.tileAttention}</option>
                {MEASURES.map((each) => (
                  <option key={each} value={each}>
                    {words[each]}
                  </option>
                ))}
              </select>
            </label>
            <ExportMenu
              name="attention"
              exporter={canvasExporter(
                words.overview,
                () => atlasOf(view.blocks, view.pixels, probabilityTable(theme)).canvas,
                () => ({ tokens: view.tokens, blocks: view.blocks }),
              )}
            />
          </div>
        </header>
        <p class="what">{words.overviewHint}</p>
        <ModelView
          blocks={view.blocks}
          pixels={view.pixels}
          chosen={{ row, head }}
          onChoose={choose}
          hover={hover}
          theme={theme}
          measure={measure === 'attention' ? undefined : measure}
          label={words.overviewLabel(view.blocks.length, Math.max(...view.blocks.map((each) => each.heads)))}
          chosenLabel={name}
        />
        <AttentionLegend theme={theme} unit={words.unit} />
        <p class="caution-line">{words.note}</p>
      </article>
      <div class="pair">
        <article class="card">
          <header>
            <h2>
              {words.headView}: {layerName(listed)}
            </h2>
            <div class="inline">
              <label>
                {words.layer}{' '}
                <select value={String(row)} onChange={(event) => choose(Number(event.currentTarget.value), 0)}>
                  {view.blocks.map((each, i) => (
                    <option key={each.index} value={String(i)}>
                      {layerName(each)}
                    </option>
                  ))}
                </select>
              </label>
              <ExportMenu
                name={`head-view-${name}`}
                exporter={attentionExporter(
                  (control) =>
                    engine.analyse(
                      {
                        model,
                        subject: { kind: 'text', text },
                        analysis: 'probabilities',
                        layer: listed.path,
                        ...(heads.length === 1 ? { head } : {}),
                      },
                      control,
                    ),
                  { language, theme },
                )}
              />
            </div>
          </header>
          <p class="what">{words.headViewHint}</p>
          <HeadChips
            count={listed.heads}
            heads={heads}
            onChange={(next) => {
              if (next.length === 1) choose(row, next[0]!);
              else setTogether(next);
            }}
          />
          {block === undefined ? (
            <div class="skeleton tall" />
          ) : (
            <HeadView
              tokens={view.tokens}
              block={block}
              heads={heads}
              hover={hover}
              theme={theme}
              label={`${words.headView}: ${name}`}
              onPick={(query) => state.change({ token: query === 0 ? undefined : String(query) })}
            />
          )}
          {block !== undefined && (
            <TopKeys tokens={view.tokens} block={block} heads={heads} hover={hover} to={words.to} />
          )}
        </article>
        <MatrixCard {...{ view, model, text, block, row, head, hover, pinned }} />
      </div>
      <CloserLook {...{ view, model, text, block, row, head, hover, pinned }} onChoose={choose} />
    </>
  );
}

function clamp(value: number, count: number): number {
  return Number.isInteger(value) ? Math.min(count - 1, Math.max(0, value)) : 0;
}
