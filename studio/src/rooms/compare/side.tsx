import { useMemo } from 'preact/hooks';
import { captionOf, imageScores, predictionValues, subjectOf } from 'onnxray/views';
import type { RgbPicture, Scale } from 'onnxray/views';
import type { Explanation } from '../../engine/engine.ts';
import { useFrame, useWords } from '../../frame/context.ts';
import type { Result } from '../../frame/context.ts';
import { explanationExporter } from '../../frame/export.ts';
import { WORDS } from '../../frame/words.ts';
import { ExportMenu } from '../../parts/export-menu.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Judgement } from '../../parts/judgement.tsx';
import { PictureMap } from '../../parts/picture-map.tsx';
import { ScaleLegend } from '../../parts/scale-legend.tsx';
import { TokenText } from '../../parts/token-text.tsx';
import { COMPARE_WORDS } from './words.ts';

interface SideProps {
  readonly title: string;
  readonly result: Result<Explanation>;
  /** Of both sides; each its own without it. */
  readonly scale: Scale | undefined;
  /** What is explained, where it is a picture. */
  readonly picture: RgbPicture | undefined;
}

/** One of the two that are compared. */
export function Side({ title, result, scale, picture }: SideProps) {
  const { language, theme } = useFrame();
  const { value, error, stale, retry } = result;
  const top = value && predictionValues(value).rows[0];
  return (
    <article class={`card${stale ? ' stale' : ''}`} aria-busy={stale}>
      <header>
        <h3>
          {title}
          {top !== undefined && (
            <span class="aside">
              {' '}
              {top.label} {top.text}
            </span>
          )}
        </h3>
        {value !== undefined && (
          <ExportMenu
            name={`${title}-${value.method}`}
            exporter={explanationExporter(value, { language, theme, picture })}
          />
        )}
      </header>
      {error !== undefined && <Failure error={error} onRetry={retry} />}
      {value === undefined ? (
        error === undefined && <div class="skeleton" role="status" aria-label={WORDS[language].waiting} />
      ) : (
        <>
          {value.image === undefined
            ? scale !== undefined && <TextSide explanation={value} scale={scale} />
            : picture !== undefined && <PictureSide explanation={value} scale={scale} picture={picture} />}
          <Judgement explanation={value} />
        </>
      )}
    </article>
  );
}

function TextSide({ explanation, scale }: { readonly explanation: Explanation; readonly scale: Scale }) {
  const { language } = useFrame();
  const words = useWords(COMPARE_WORDS);
  const notes = [words.shared, ...captionOf(explanation, subjectOf(explanation), language).slice(0, 1)];
  return (
    <>
      <TokenText explanation={explanation} scale={scale} />
      <ScaleLegend explanation={explanation} scale={scale} notes={notes} />
    </>
  );
}

function PictureSide({
  explanation,
  scale,
  picture,
}: {
  readonly explanation: Explanation;
  readonly scale: Scale | undefined;
  readonly picture: RgbPicture;
}) {
  const { language } = useFrame();
  const words = useWords(COMPARE_WORDS);
  const scores = useMemo(() => {
    const own = imageScores(explanation);
    return own && { ...own, scale: scale ?? own.scale };
  }, [explanation, scale]);
  if (scores === undefined) return <p class="empty small">{WORDS[language].notPicture}</p>;
  const notes = [
    scale === undefined ? words.ownScale : words.shared,
    ...captionOf(explanation, subjectOf(explanation), language).slice(0, 1),
  ];
  return (
    <>
      <PictureMap
        {...{ explanation, scores, picture }}
        label={words.explained(explanation.method, explanation.target.label)}
      />
      <ScaleLegend explanation={explanation} scale={scores.scale} notes={notes} />
    </>
  );
}
