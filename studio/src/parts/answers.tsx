import { predictionValues } from 'onnxray/views';
import type { Explanation } from '../engine/engine.ts';

/** The model's best answers; the one explained is chosen among them. */
export function Answers({
  explanation,
  label,
  hint,
  onChoose,
}: {
  readonly explanation: Explanation | undefined;
  readonly label: string;
  readonly hint: string;
  readonly onChoose: (target: string) => void;
}) {
  if (explanation === undefined) return <p class="empty small">…</p>;
  const { rows, probabilities } = predictionValues(explanation);
  const most = Math.max(...rows.map(({ value }) => Math.abs(value)), 1e-9);
  const indices = explanation.predictions?.map(({ index }) => index) ?? [];
  const shown = explanation.target.indices.at(-1);
  return (
    <div class="answers" role="group" aria-label={label}>
      {rows.map((row, i) => (
        <button
          key={indices[i]}
          type="button"
          aria-pressed={indices[i] === shown}
          onClick={() => onChoose(String(indices[i]))}
          title={hint}
        >
          <span class="name">{row.label}</span>
          <span class="number">{row.text}</span>
          <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
            <rect width="100" height="4" class="rail" />
            <rect width={Math.max(0, (row.value / (probabilities ? 1 : most)) * 100)} height="4" class="value" />
          </svg>
        </button>
      ))}
    </div>
  );
}
