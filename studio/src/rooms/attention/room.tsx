import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { AttentionView, ModelSummary, PackedBlock } from '../../engine/engine.ts';
import { messageOf, useFrame, useHistory, useJob, useModel, useParam, useWords } from '../../frame/context.ts';
import { canvasExporter } from '../../frame/export.ts';
import { WORDS } from '../../frame/words.ts';
import { AttentionLegend } from '../../parts/attention-legend.tsx';
import { HEAD_COLORS, atlasOf, headImage, meanOfHeads, probabilityTable } from '../../parts/attention-pixels.ts';
import { ExportMenu } from '../../parts/export-menu.tsx';
import { HeadView } from '../../parts/head-view.tsx';
import { Hover } from '../../parts/hover.ts';
import { MatrixView } from '../../parts/matrix-view.tsx';
import { ModelPicker } from '../../parts/model-picker.tsx';
import { ModelView, layerName } from '../../parts/model-view.tsx';
import { BlockCache } from './block-cache.ts';
import { TopKeys } from './top-keys.tsx';
import { ATTENTION_WORDS } from './words.ts';

const suits = ({ task, texts }: ModelSummary): boolean =>
  task === 'text-classification' || texts.length > 0 || task === 'tensor';
const MEASURES = ['entropy', 'confidence', 'distance'] as const;

/** Where a model attends: all heads at a glance, one of them close, its matrix; a hovered token is marked in all. */
export default function AttentionRoom() {
  const { engine, language, theme } = useFrame();
  const words = useWords(ATTENTION_WORDS);
  const model = useModel(suits);
  const [text, setText] = useParam('text', model?.texts[0] ?? '');
  const key = model === undefined || text.trim() === '' ? undefined : JSON.stringify([model.id, text]);
  const {
    value: view,
    error,
    stale,
  } = useJob(
    key,
    words.waiting,
    (control) => engine.attention({ model: model!.id, subject: { kind: 'text', text } }, control),
    300,
  );
  if (model === undefined) return <p class="empty">{WORDS[language].noModel}</p>;
  return (
    <div class="attention-room">
      <section class="bar" aria-label={words.text}>
        <ModelPicker suits={suits} model={model} />
        <label class="field grow">
          <span>
            {words.text}
            {view !== undefined && ` · ${words.tokens(view.tokens.length)}`}
          </span>
          <textarea rows={2} value={text} spellcheck={false} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
      </section>
      {error !== undefined && (
        <p class="notice" role="alert">
          {error === '' ? WORDS[language].cancelled : error}
        </p>
      )}
      {view === undefined ? (
        error === undefined && <div class="skeleton tall" role="status" aria-label={words.waiting} />
      ) : (
        <div class={stale ? 'stale-room' : ''} aria-busy={stale}>
          <Heads key={theme} view={view} />
        </div>
      )}
    </div>
  );
}

function Heads({ view }: { readonly view: AttentionView }) {
  const { state, theme, language } = useFrame();
  const { params } = useHistory().state;
  const words = useWords(ATTENTION_WORDS);
  const hover = useMemo(() => new Hover(), [view]);
  const cache = useMemo(() => new BlockCache(view), [view]);
  const [measure, setMeasure] = useParam('tiles', 'attention');
  const [shows, setShows] = useParam('matrix', 'head');
  const row = clamp(Number(params['layer'] ?? 0), view.blocks.length);
  const listed = view.blocks[row]!;
  const head = clamp(Number(params['head'] ?? 0), listed.heads);
  const [together, setTogether] = useState<readonly number[] | undefined>();
  const heads = useMemo(() => together ?? [head], [together, head]);
  const block = useBlock(cache, listed.index);
  const rollout = useRollout(view, shows === 'rollout');
  const choose = (nextRow: number, nextHead: number): void => {
    setTogether(undefined);
    state.change({ layer: String(nextRow), head: String(nextHead) });
  };
  const matrix = useMemo((): { block: PackedBlock; head: number } | undefined => {
    if (shows === 'rollout') return rollout.value && { block: rollout.value, head: 0 };
    if (block === undefined) return undefined;
    return shows === 'mean' ? { block: meanOfHeads(block), head: 0 } : { block, head };
  }, [shows, block, head, rollout.value]);
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
            />
          )}
          {block !== undefined && (
            <TopKeys tokens={view.tokens} block={block} heads={heads} hover={hover} to={words.to} language={language} />
          )}
        </article>
        <article class="card">
          <header>
            <h2>
              {words.matrix}: {shows === 'head' ? name : shows === 'mean' ? layerName(listed) : words.rollout}
            </h2>
            <div class="inline">
              {matrix !== undefined && (
                <ExportMenu
                  name={`attention-${name}`}
                  exporter={canvasExporter(
                    `${words.matrix}: ${name}`,
                    () => enlarged(headImage(matrix.block, matrix.head, probabilityTable(theme))),
                    () => matrixJson(view.tokens, matrix.block, matrix.head),
                  )}
                />
              )}
            </div>
          </header>
          <div class="chips" role="group" aria-label={words.shows}>
            {(['head', 'mean', 'rollout'] as const).map((each) => (
              <button
                key={each}
                type="button"
                class="chip"
                aria-pressed={shows === each}
                onClick={() => setShows(each)}
              >
                {each === 'head' ? words.one(head) : words[each]}
              </button>
            ))}
          </div>
          {rollout.error !== undefined && (
            <p class="notice" role="alert">
              {rollout.error}
            </p>
          )}
          {matrix === undefined ? (
            rollout.error === undefined && <div class="skeleton tall" />
          ) : (
            <MatrixView
              tokens={view.tokens}
              block={matrix.block}
              head={matrix.head}
              hover={hover}
              theme={theme}
              label={`${words.matrix}: ${name}`}
              zoomLabels={words}
            />
          )}
        </article>
      </div>
    </>
  );
}

/** Heads are drawn together or alone; a click adds or takes one away. */
function HeadChips({
  count,
  heads,
  onChange,
}: {
  readonly count: number;
  readonly heads: readonly number[];
  readonly onChange: (heads: readonly number[]) => void;
}) {
  const words = useWords(ATTENTION_WORDS);
  const toggle = (head: number): void => {
    if (!heads.includes(head)) onChange([...heads, head]);
    else if (heads.length > 1) onChange(heads.filter((each) => each !== head));
  };
  return (
    <div class="chips heads" role="group" aria-label={words.heads}>
      {Array.from({ length: count }, (_, head) => {
        const order = heads.indexOf(head);
        return (
          <button
            key={head}
            type="button"
            class="chip head"
            aria-pressed={order >= 0}
            aria-label={words.head(head)}
            onClick={() => toggle(head)}
          >
            <i style={{ background: order >= 0 ? HEAD_COLORS[order % HEAD_COLORS.length]! : 'transparent' }} />
            {head}
          </button>
        );
      })}
      <button
        type="button"
        class="chip head"
        onClick={() => onChange(Array.from({ length: count }, (_, head) => head))}
      >
        {words.all}
      </button>
    </div>
  );
}

function useBlock(cache: BlockCache, index: number): PackedBlock | undefined {
  const { jobs } = useFrame();
  const words = useWords(ATTENTION_WORDS);
  const [found, setFound] = useState<{ cache: BlockCache; index: number; block: PackedBlock } | undefined>();
  useEffect(() => {
    const controller = new AbortController();
    jobs
      .run(words.waiting, ({ signal }) => cache.get(index, signal), controller.signal)
      .then((block) => setFound({ cache, index, block }))
      .catch(() => undefined);
    return () => controller.abort();
  }, [cache, index]);
  return found?.cache === cache && found.index === index ? found.block : undefined;
}

function useRollout(
  view: AttentionView,
  wanted: boolean,
): { value: PackedBlock | undefined; error: string | undefined } {
  const { jobs } = useFrame();
  const [found, setFound] = useState<{ view: AttentionView; value?: PackedBlock; error?: string } | undefined>();
  const asked = useRef<AttentionView | undefined>(undefined);
  useEffect(() => {
    if (!wanted || asked.current === view) return;
    asked.current = view;
    jobs
      .run('rollout', ({ signal }) => view.rollout(signal))
      .then(
        (value) => setFound({ view, value }),
        (error: unknown) => setFound({ view, error: messageOf(error) }),
      );
  }, [view, wanted]);
  return found?.view === view ? { value: found.value, error: found.error } : { value: undefined, error: undefined };
}

function clamp(value: number, count: number): number {
  return Number.isInteger(value) ? Math.min(count - 1, Math.max(0, value)) : 0;
}

function enlarged(image: HTMLCanvasElement): HTMLCanvasElement {
  const factor = Math.max(1, Math.floor(640 / Math.max(image.width, image.height)));
  const canvas = document.createElement('canvas');
  canvas.width = image.width * factor;
  canvas.height = image.height * factor;
  const context = canvas.getContext('2d')!;
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function matrixJson(tokens: readonly string[], { queries, keys, data }: PackedBlock, head: number): object {
  const from = head * queries * keys;
  const probabilities = Array.from(data.subarray(from, from + queries * keys), (value) =>
    Number((value / 65535).toFixed(5)),
  );
  return { tokens, dims: [queries, keys], data: probabilities };
}
