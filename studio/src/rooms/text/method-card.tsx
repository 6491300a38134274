import { useEffect, useMemo } from 'preact/hooks';
import { MESSAGES, barsOf, captionOf, methodFacts, subjectOf } from 'onnxray/views';
import type { Explanation } from '../../engine/engine.ts';
import { useFrame, useJob } from '../../frame/context.ts';
import { explanationExporter } from '../../frame/export.ts';
import { mark } from '../../frame/marks.ts';
import { WORDS } from '../../frame/words.ts';
import { Bars } from '../../parts/bars.tsx';
import { ExportMenu } from '../../parts/export-menu.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Judgement } from '../../parts/judgement.tsx';
import { ScaleLegend } from '../../parts/scale-legend.tsx';
import { TokenText } from '../../parts/token-text.tsx';

interface MethodCardProps {
  readonly name: string;
  readonly model: string;
  readonly text: string;
  readonly target: string | undefined;
  readonly pinned: number;
  /** Whether it may begin. */
  readonly turn: boolean;
  readonly hover: (token: number) => void;
  readonly onPick: (token: number) => void;
  /** It has ended: with an explanation, or with undefined when it failed or was cancelled. */
  readonly onSettled: (explanation: Explanation | undefined) => void;
}

const TYPING_MS = 220;
const STRONGEST = 6;

/** One method's picture of the text, with its legend, its strongest tokens, and how far to trust it. */
export function MethodCard({ name, model, text, target, pinned, turn, hover, onPick, onSettled }: MethodCardProps) {
  const { engine, language, theme, studio } = useFrame();
  const words = WORDS[language];
  const key = turn && text.trim() !== '' ? JSON.stringify([model, text, target, name]) : undefined;
  const {
    value: computed,
    error,
    stale,
    settled,
    retry,
  } = useJob(
    key,
    name,
    (control) => engine.explain({ model, subject: { kind: 'text', text }, method: name, target }, control),
    TYPING_MS,
  );
  const { first } = studio;
  const early =
    first?.model === model && first.text === text && first.method === name && target === undefined
      ? first.explanation
      : undefined;
  const value = computed ?? early;
  const waiting = computed === undefined && early !== undefined;
  const failed = error !== undefined;
  useEffect(() => {
    if (failed) onSettled(undefined);
    else if (settled || waiting) onSettled(value);
  }, [settled, waiting, failed, value, model, text]);
  useEffect(() => {
    if (value === undefined) return;
    mark('picture');
    if (!waiting) mark('computed');
  }, [value, waiting]);
  const drawn = useMemo(() => {
    if (value === undefined) return undefined;
    const subject = subjectOf(value);
    return subject.kind === 'text' ? { scale: subject.scale, notes: captionOf(value, subject, language) } : undefined;
  }, [value, language]);
  const facts = value && methodFacts(value);
  return (
    <article class={`card${stale && !waiting ? ' stale' : ''}`} aria-busy={stale} data-method={name}>
      <header>
        <h3>{name}</h3>
        {value !== undefined && (
          <ExportMenu
            name={`${name}-${value.target.label}`}
            exporter={explanationExporter(value, { language, theme })}
          />
        )}
      </header>
      {facts?.name !== undefined && <p class="what">{MESSAGES[language].methods[facts.name]}</p>}
      {error !== undefined && <Failure error={error} onRetry={retry} />}
      {value !== undefined && drawn !== undefined ? (
        <>
          {waiting && error === undefined && <p class="hint early">{words.precomputed}</p>}
          <TokenText explanation={value} scale={drawn.scale} pinned={pinned} onPick={onPick} onHover={hover} />
          <ScaleLegend explanation={value} scale={drawn.scale} notes={drawn.notes} />
          <h4>{words.strongest}</h4>
          <Bars
            label={`${name}: ${words.strongest}`}
            limit={drawn.scale.limit}
            rows={barsOf(value, { top: STRONGEST }).bars}
          />
          <Judgement explanation={value} />
        </>
      ) : (
        error === undefined && <div class="skeleton" role="status" aria-label={`${name}: ${words.waiting}`} />
      )}
    </article>
  );
}
