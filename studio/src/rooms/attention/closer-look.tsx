import type { AttentionResult } from '../../engine/engine.ts';
import { useFrame, useParam, useWords } from '../../frame/context.ts';
import { ErrorText } from '../../frame/error-text.tsx';
import { attentionExporter } from '../../frame/export.ts';
import { ExportMenu } from '../../parts/export-menu.tsx';
import { layerName } from '../../parts/model-view.tsx';
import { HeadMap } from './head-map.tsx';
import type { HeadProps } from './matrix-card.tsx';
import { NeuronView } from './neuron-view.tsx';
import { Patching } from './patching.tsx';
import { useLoaded } from './use-attention.ts';
import type { Loaded } from './use-attention.ts';
import { ATTENTION_WORDS } from './words.ts';

const PANELS = ['neuron', 'map', 'patching'] as const;

interface CloserLookProps extends HeadProps {
  readonly onChoose: (row: number, head: number) => void;
}

/** One of three further views: what makes the head look where it looks, how heads compare, what they do to the answer. */
export function CloserLook({ view, model, text, block, row, head, hover, pinned, onChoose }: CloserLookProps) {
  const { engine, theme, language } = useFrame();
  const words = useWords(ATTENTION_WORDS);
  const [given, setPanel] = useParam('panel', 'neuron');
  const panel = PANELS.find((each) => each === given) ?? 'neuron';
  const listed = view.blocks[row]!;
  const name = `${layerName(listed)} · ${words.head(head)}`;
  const subject = { kind: 'text', text } as const;
  const vectors = useLoaded(
    panel === 'neuron' ? `vectors ${listed.index} ${head}` : undefined,
    words.panels.neuron,
    view,
    ({ signal }) => view.vectors(listed.index, head, signal),
  );
  const map = useLoaded(panel === 'map' ? 'clusters' : undefined, words.readingMap, view, (control) =>
    engine.analyse({ model, subject, analysis: 'clusters' }, control),
  );
  const neuron = (control: Parameters<typeof engine.analyse>[1]): Promise<AttentionResult> =>
    engine.analyse(
      { model, subject, analysis: 'neuron', layer: listed.path, head, options: { query: pinned } },
      control,
    );
  return (
    <article class="card wide closer">
      <header>
        <h2>
          {words.closerLook}
          {panel === 'neuron' && `: ${name}`}
        </h2>
        <div class="inline">
          {panel === 'neuron' && (
            <ExportMenu name={`neuron-view-${name}`} exporter={attentionExporter(neuron, { language, theme })} />
          )}
        </div>
      </header>
      <div class="chips" role="group" aria-label={words.closerLook}>
        {PANELS.map((each) => (
          <button key={each} type="button" class="chip" aria-pressed={panel === each} onClick={() => setPanel(each)}>
            {words.panels[each]}
          </button>
        ))}
      </div>
      <p class="what">{panel === 'neuron' ? words.neuronHint : panel === 'map' ? words.mapHint : words.patchingHint}</p>
      {panel === 'patching' && <Patching {...{ model, text, hover }} />}
      {panel === 'map' && (
        <Shown loaded={map}>{(result) => <HeadMap {...{ result, view, onChoose }} chosen={{ row, head }} />}</Shown>
      )}
      {panel === 'neuron' && (
        <Shown loaded={vectors}>
          {(found) =>
            block === undefined ? (
              <div class="skeleton tall" />
            ) : (
              <NeuronView
                {...{ block, head, pinned, hover, theme }}
                tokens={view.tokens}
                vectors={found}
                label={(token) => words.neuronLabel(token, name)}
              />
            )
          }
        </Shown>
      )}
    </article>
  );
}

function Shown<T>({
  loaded: { value, error },
  children,
}: {
  readonly loaded: Loaded<T>;
  readonly children: (value: T) => preact.ComponentChild;
}) {
  if (error !== undefined)
    return (
      <p class="notice" role="alert">
        <ErrorText error={error} />
      </p>
    );
  return value === undefined ? <div class="skeleton tall" /> : <>{children(value)}</>;
}
