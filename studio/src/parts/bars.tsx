import { formatSigned } from 'onnxray/views';

export interface BarRow {
  readonly label: string;
  readonly score: number;
  readonly key?: number;
}

/** Strongest scores around a zero line; colour and side both say the sign. */
export function Bars({
  rows,
  limit,
  label,
  onHover,
}: {
  readonly rows: readonly BarRow[];
  readonly limit: number;
  readonly label: string;
  readonly onHover?: (key: number) => void;
}) {
  return (
    <table class="bars" aria-label={label}>
      <tbody>
        {rows.map(({ label, score, key }, i) => {
          const width = Math.min(50, (Math.abs(score) / limit) * 50);
          return (
            <tr key={i} onMouseEnter={() => key !== undefined && onHover?.(key)} onMouseLeave={() => onHover?.(-1)}>
              <th scope="row">{label}</th>
              <td class="bar">
                <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                  <line x1="50" x2="50" y1="0" y2="10" />
                  <rect
                    class={score >= 0 ? 'for' : 'against'}
                    x={score >= 0 ? 50 : 50 - width}
                    y="1.5"
                    width={Math.max(0.4, width)}
                    height="7"
                  />
                </svg>
              </td>
              <td class="number">{formatSigned(score)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
