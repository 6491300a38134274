import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import {
  MESSAGES,
  captionOf,
  formatPercent,
  formatSigned,
  imageScores,
  makeScale,
  methodFacts,
  subjectOf,
  tokenScores,
} from 'onnxray/views';
import type { Scale } from 'onnxray/views';
import type { Explanation } from '../../engine/engine.ts';
import { useFrame, useJob, useWords } from '../../frame/context.ts';
import { explanationExporter } from '../../frame/export.ts';
import { WORDS } from '../../frame/words.ts';
import { ExportMenu } from '../../parts/export-menu.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Judgement } from '../../parts/judgement.tsx';
import { PictureMap } from '../../parts/picture-map.tsx';
import { ScaleLegend } from '../../parts/scale-legend.tsx';
import { TokenText } from '../../parts/token-text.tsx';
import type { LoadedPicture } from '../../parts/use-picture.ts';
import type { PictureBox } from './box.ts';
import { boxAfterKey, writeBox } from './box.ts';
import { boxScores } from './box-scores.ts';
import { IMAGE_WORDS } from './words.ts';

interface PictureCardProps {
  readonly name: string;
  readonly model: string;
  readonly picture: LoadedPicture;
  readonly target: string | undefined;
  /** What the picture is compared with, by models that do. */
  readonly text: string | undefined;
  readonly box: PictureBox | undefined;
  readonly opacity: number;
  /** Scores alone, without the picture. */
  readonly heat: boolean;
  readonly turn: boolean;
  /** It has ended: with an explanation, or with undefined when it failed or was cancelled. */
  readonly onSettled: (explanation: Explanation | undefined) => void;
}

const TYPING_MS = 250;
/** Where the keyboard places a box. */
const MIDDLE: PictureBox = { left: 0.35, top: 0.35, right: 0.65, bottom: 0.65 };

/** One method's map of the picture. */
export function PictureCard({
  name,
  model,
  picture,
  target,
  text,
  box,
  opacity,
  heat,
  turn,
  onSettled,
}: PictureCardProps) {
  const { engine, language, theme, state } = useFrame();
  const words = useWords(IMAGE_WORDS);
  const { value, error, stale, settled, retry } = useJob(
    turn && text?.trim() !== '' ? JSON.stringify([model, picture.id, target, text, name]) : undefined,
    name,
    (control) =>
      engine.explain({ model, subject: { kind: 'picture', data: picture.blob, text }, method: name, target }, control),
    text === undefined ? 0 : TYPING_MS,
  );
  useEffect(() => {
    if (settled) onSettled(error === undefined ? value : undefined);
  }, [settled, error, value, model, picture.id]);
  const scores = useMemo(() => (value === undefined ? undefined : imageScores(value)), [value]);
  const notes = useMemo(
    () => (value === undefined ? [] : captionOf(value, subjectOf(value), language)),
    [value, language],
  );
  const facts = value && methodFacts(value);
  const ofWords = value && textScale(value);
  const found = box && value?.image && scores ? boxScores(box, value.image, scores) : undefined;
  return (
    <article class={`card${stale ? ' stale' : ''}`} aria-busy={stale} data-method={name}>
      <header>
        <h3>{name}</h3>
        {value !== undefined && (
          <ExportMenu
            name={`${name}-${value.target.label}`}
            exporter={explanationExporter(value, { language, theme, picture: picture.pixels })}
          />
        )}
      </header>
      {facts?.name !== undefined && <p class="what">{MESSAGES[language].methods[facts.name]}</p>}
      {error !== undefined && <Failure error={error} onRetry={retry} />}
      {value === undefined || scores === undefined ? (
        error === undefined && (
          <div class="skeleton tall" role="status" aria-label={`${name}: ${WORDS[language].waiting}`} />
        )
      ) : (
        <>
          <BoxArea
            box={heat ? undefined : box}
            enabled={!heat}
            onBox={(next) => state.change({ box: next && writeBox(next) })}
          >
            <PictureMap
              {...{ scores, opacity, heat }}
              explanation={value}
              picture={picture.pixels}
              label={words.explained(name, value.target.label)}
            />
          </BoxArea>
          <p class="readout" role="status">
            {found === undefined ? '\u00a0' : words.inBox(formatSigned(found.sum), formatPercent(found.share))}
          </p>
          <ScaleLegend explanation={value} scale={scores.scale} notes={ofWords === undefined ? notes : []} />
          {ofWords !== undefined && (
            <>
              <h4>{words.words}</h4>
              <TokenText explanation={value} scale={ofWords} />
              <ScaleLegend explanation={value} scale={ofWords} notes={notes} />
            </>
          )}
          <Judgement explanation={value} />
        </>
      )}
    </article>
  );
}

/** Scale of the words' scores, where a text was explained with the picture. */
function textScale(explanation: Explanation): Scale | undefined {
  const scores = explanation.text === undefined ? undefined : tokenScores(explanation);
  return scores === undefined ? undefined : makeScale([...scores], methodFacts(explanation).kind);
}

/** Lets a box be dragged, placed by Enter, moved by arrow keys, sized by them with Shift, and removed by Escape. */
function BoxArea({
  box,
  enabled,
  onBox,
  children,
}: {
  readonly box: PictureBox | undefined;
  readonly enabled: boolean;
  readonly onBox: (box: PictureBox | undefined) => void;
  readonly children: preact.ComponentChildren;
}) {
  const words = useWords(IMAGE_WORDS);
  const area = useRef<HTMLDivElement>(null);
  const start = useRef<{ x: number; y: number } | undefined>(undefined);
  const [dragged, setDragged] = useState<PictureBox | undefined>();
  const at = (event: PointerEvent): { x: number; y: number } => {
    const rect = area.current!.getBoundingClientRect();
    const clamp = (value: number): number => Math.min(1, Math.max(0, value));
    return { x: clamp((event.clientX - rect.left) / rect.width), y: clamp((event.clientY - rect.top) / rect.height) };
  };
  const between = (a: { x: number; y: number }, b: { x: number; y: number }): PictureBox => ({
    left: Math.min(a.x, b.x),
    top: Math.min(a.y, b.y),
    right: Math.max(a.x, b.x),
    bottom: Math.max(a.y, b.y),
  });
  const end = (): void => {
    start.current = undefined;
    if (dragged !== undefined && dragged.right - dragged.left > 0.01 && dragged.bottom - dragged.top > 0.01)
      onBox(dragged);
    setDragged(undefined);
  };
  const keys = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && box === undefined) onBox(MIDDLE);
    // Without a box the arrow keys scroll the page, as they do elsewhere.
    if (box === undefined) return;
    if (event.key === 'Escape') onBox(undefined);
    const next = boxAfterKey(box, event.key, event.shiftKey);
    if (next === undefined) return;
    event.preventDefault();
    onBox(next);
  };
  const shown = dragged ?? box;
  return (
    <div
      class={`box-area${enabled ? '' : ' fixed'}`}
      ref={area}
      tabIndex={enabled ? 0 : -1}
      role="group"
      aria-label={words.regionHint}
      onKeyDown={enabled ? keys : undefined}
      onPointerDown={(event) => {
        if (!enabled || event.button !== 0) return;
        start.current = at(event);
        area.current!.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        if (start.current !== undefined) setDragged(between(start.current, at(event)));
      }}
      onPointerUp={end}
      onPointerCancel={end}
    >
      {children}
      {shown !== undefined && (
        <i
          class="box"
          style={{
            left: `${shown.left * 100}%`,
            top: `${shown.top * 100}%`,
            width: `${(shown.right - shown.left) * 100}%`,
            height: `${(shown.bottom - shown.top) * 100}%`,
          }}
        />
      )}
    </div>
  );
}
