import { useMemo } from 'preact/hooks';
import { captionOf, subjectOf } from 'onnxray/views';
import { parseExplanation } from 'onnxray/explanation';
import type { Explanation } from '../engine/engine.ts';
import { useLook } from '../frame/context.ts';
import { WORDS } from '../frame/words.ts';
import { Judgement } from '../parts/judgement.tsx';
import { ScaleLegend } from '../parts/scale-legend.tsx';
import { TokenText } from '../parts/token-text.tsx';

/** The library's JSON. Throws an Error that names what is missing. */
export function readExplanation(data: unknown): Explanation {
  return parseExplanation(JSON.stringify(data));
}

/** An explanation of a text. */
export function TextFigure({ explanation }: { readonly explanation: Explanation }) {
  const { language } = useLook();
  const subject = useMemo(() => subjectOf(explanation), [explanation]);
  if (subject.kind !== 'text') return <p role="alert">{WORDS[language].notText}</p>;
  return (
    <figure class="element">
      <figcaption>
        <b>{explanation.method}</b> · {explanation.target.label}
      </figcaption>
      <TokenText explanation={explanation} scale={subject.scale} />
      <ScaleLegend explanation={explanation} scale={subject.scale} notes={captionOf(explanation, subject, language)} />
      <Judgement explanation={explanation} />
    </figure>
  );
}
