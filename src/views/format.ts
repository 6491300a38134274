const MINUS = '\u2212';
const SUPERSCRIPTS: Readonly<Record<string, string>> = Object.fromEntries(
  [...'0123456789-'].map((digit, index) => [digit, [...'⁰¹²³⁴⁵⁶⁷⁸⁹⁻'][index]!]),
);

/** A number for people: three significant digits, a true minus sign, `1.2×10⁻⁵` when very small or large. */
export function formatNumber(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : `${MINUS}∞`;
  if (value === 0) return '0';
  const size = Math.abs(value);
  const sign = value < 0 ? MINUS : '';
  if (size >= 1e6 || size < 1e-4) {
    const [mantissa, exponent] = size.toExponential(digits - 1).split('e') as [string, string];
    return `${sign}${mantissa}×10${[...String(Number(exponent))].map((char) => SUPERSCRIPTS[char]).join('')}`;
  }
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return `${sign}${size.toFixed(decimals)}`;
}

/** As `formatNumber`, with a plus sign for positive numbers. */
export function formatSigned(value: number, digits = 3): string {
  return value > 0 ? `+${formatNumber(value, digits)}` : formatNumber(value, digits);
}

/** The score to float32 precision, for a tooltip: `+0.1234567`. */
export function formatExact(value: number): string {
  if (!Number.isFinite(value)) return formatNumber(value);
  const text = String(Number(value.toPrecision(7)));
  return value > 0 ? `+${text}` : text.replace('-', MINUS);
}

/** A fraction as percent: `97.3%`, `0.04%`, `100%`; never rounds to a certainty it is not. */
export function formatPercent(fraction: number): string {
  if (!Number.isFinite(fraction)) return formatNumber(fraction);
  const percent = fraction * 100;
  if (percent === 0) return '0%';
  if (Math.abs(percent) < 0.01) return '< 0.01%';
  if (fraction < 1 && percent > 99.95) return '> 99.9%';
  if (Math.abs(percent) >= 1000) return `${formatNumber(percent)}%`;
  return `${percent.toFixed(Math.abs(percent) < 1 ? 2 : Math.abs(percent) < 99.95 ? 1 : 0)}%`;
}

/** An upper bound as percent, rounded up and at least `0.01%`: what is said to be within it is. */
export function formatPercentBound(fraction: number): string {
  const steps = fraction < 0.01 ? 100 : 10;
  return formatPercent(Math.max(1, Math.ceil(fraction * 100 * steps - 1e-9)) / (100 * steps));
}

/** Milliseconds as `84 ms` or `3.2 s`. */
export function formatDuration(ms: number): string {
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Axis ticks at 1, 2 or 5 times a power of ten, `count` of them or fewer, covering [low, high] from inside. */
export function ticks(low: number, high: number, count = 5): number[] {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [0];
  const raw = span / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= raw * (1 - 1e-9)) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}
