import { useMemo } from 'preact/hooks';
import type { AttentionView, PackedBlock } from '../../engine/engine.ts';
import { useFrame, useParam, useWords } from '../../frame/context.ts';
import { ErrorText } from '../../frame/error-text.tsx';
import { canvasExporter } from '../../frame/export.ts';
import { AttentionLegend } from '../../parts/attention-legend.tsx';
import { headImage, meanOfHeads, probabilityTable, tokenLabel } from '../../parts/attention-pixels.ts';
import { ExportMenu } from '../../parts/export-menu.tsx';
import type { Hover } from '../../parts/hover.ts';
import { MatrixView } from '../../parts/matrix-view.tsx';
import { layerName } from '../../parts/model-view.tsx';
import { mapAsBlock, useLoaded } from './use-attention.ts';
import { ATTENTION_WORDS } from './words.ts';

/** What the views of one head share. */
export interface HeadProps {
  readonly view: AttentionView;
  readonly model: string;
  readonly text: string;
  /** The block of the row that is chosen, once it is there. */
  readonly block: PackedBlock | undefined;
  readonly row: number;
  readonly head: number;
  readonly hover: Hover;
  /** The token that was picked. */
  readonly pinned: number;
}

const SHOWN = ['head', 'mean', 'rollout', 'flow'] as const;
/** Flow of all tokens is computed up to so many, as by `onnxray attention --analysis flow`. */
const WHOLE_FLOW = 24;

/** A head, the mean of a layer, or what attention carries through all layers, as a matrix. */
export function MatrixCard({ view, model, text, block, row, head, hover, pinned }: HeadProps) {
  const { engine, theme } = useFrame();
  const words = useWords(ATTENTION_WORDS);
  const [given, setShows] = useParam('matrix', 'head');
  const shows = SHOWN.find((each) => each === given) ?? 'head';
  const whole = view.tokens.length <= WHOLE_FLOW;
  const key = shows === 'rollout' ? 'rollout' : shows === 'flow' ? `flow ${whole ? 'all' : pinned}` : undefined;
  const through = useLoaded(key, shows, view, async (control) => {
    if (shows === 'rollout') return view.rollout(control.signal);
    const options = { query: whole ? 'all' : String(pinned) };
    const request = { model, subject: { kind: 'text', text } as const, analysis: 'flow', options };
    return mapAsBlock(await engine.analyse(request, control), view.tokens.length);
  });
  const matrix = useMemo((): { block: PackedBlock; head: number } | undefined => {
    if (key !== undefined) return through.value && { block: through.value, head: 0 };
    if (block === undefined) return undefined;
    return shows === 'mean' ? { block: meanOfHeads(block), head: 0 } : { block, head };
  }, [shows, key, block, head, through.value]);
  const layer = layerName(view.blocks[row]!);
  const title = shows === 'head' ? `${layer} · ${words.head(head)}` : shows === 'mean' ? layer : words[shows];
  return (
    <article class="card">
      <header>
        <h2>
          {words.matrix}: {title}
        </h2>
        <div class="inline">
          {matrix !== undefined && (
            <ExportMenu
              name={`attention-${title}`}
              exporter={canvasExporter(
                `${words.matrix}: ${title}`,
                () => enlarged(headImage(matrix.block, matrix.head, probabilityTable(theme))),
                () => matrixJson(view.tokens, matrix.block, matrix.head),
              )}
            />
          )}
        </div>
      </header>
      <div class="chips" role="group" aria-label={words.shows}>
        {SHOWN.map((each) => (
          <button key={each} type="button" class="chip" aria-pressed={shows === each} onClick={() => setShows(each)}>
            {each === 'head' ? words.one(head) : words[each]}
          </button>
        ))}
      </div>
      {through.error !== undefined && (
        <p class="notice" role="alert">
          <ErrorText error={through.error} />
        </p>
      )}
      {shows === 'flow' && !whole && <p class="hint">{words.flowOne(tokenLabel(view.tokens[pinned] ?? ''))}</p>}
      {matrix === undefined ? (
        through.error === undefined && <div class="skeleton tall" />
      ) : (
        <MatrixView
          tokens={view.tokens}
          block={matrix.block}
          head={matrix.head}
          hover={hover}
          theme={theme}
          label={`${words.matrix}: ${title}`}
          zoomLabels={words}
        />
      )}
      <AttentionLegend
        theme={theme}
        unit={shows === 'flow' ? words.flow : shows === 'rollout' ? words.rollout : words.unit}
      />
    </article>
  );
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
