import { legendText, levelClass } from 'onnxray/views';
import type { Scale } from 'onnxray/views';
import type { Explanation } from '../engine/engine.ts';
import { useLook } from '../frame/context.ts';

const LEVELS = 24;

/** The colour bar of an explanation, with its ends and unit, and what the colours mean. */
export function ScaleLegend({
  explanation,
  scale,
  notes,
}: {
  readonly explanation: Explanation;
  readonly scale: Scale;
  readonly notes?: readonly string[];
}) {
  const { language } = useLook();
  const text = legendText(explanation, scale, language);
  const signed = scale.kind === 'diverging';
  const levels = Array.from({ length: signed ? 2 * LEVELS + 1 : LEVELS + 1 }, (_, i) => (signed ? i - LEVELS : i));
  return (
    <div class="legend">
      <div class="ramp" aria-hidden="true">
        {levels.map((level) => (
          <i key={level} class={levelClass(scale.kind, level)} />
        ))}
      </div>
      <div class="ticks">
        <span>{text.low}</span>
        {text.middle !== undefined && <span>{text.middle}</span>}
        <span>{text.high}</span>
      </div>
      <p class="unit">{text.unit}</p>
      {(notes ?? text.sentences).map((note) => (
        <p key={note}>{note}</p>
      ))}
    </div>
  );
}
