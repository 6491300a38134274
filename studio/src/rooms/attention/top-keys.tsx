import { useEffect, useState } from 'preact/hooks';
import { formatPercent } from 'onnxray/views';
import type { PackedBlock } from '../../engine/engine.ts';
import { tokenLabel } from '../../parts/attention-pixels.ts';
import type { Hover } from '../../parts/hover.ts';

const SHOWN = 5;
/** Readers are told where the pointer rests, not where it passes. */
const REST_MS = 160;

/** In words: what the token under the pointer attends to most, over the heads shown. */
export function TopKeys({
  tokens,
  block,
  heads,
  hover,
  to,
}: {
  readonly tokens: readonly string[];
  readonly block: PackedBlock;
  readonly heads: readonly number[];
  readonly hover: Hover;
  readonly to: string;
}) {
  const [query, setQuery] = useState(-1);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    return hover.listen((now) => {
      clearTimeout(timer);
      if (now.query >= 0) timer = setTimeout(() => setQuery(now.query), REST_MS);
    });
  }, [hover]);
  if (query < 0 || query >= block.queries) return <p class="top-keys">&nbsp;</p>;
  const { queries, keys, data } = block;
  const mean = Array.from(
    { length: keys },
    (_, key) =>
      heads.reduce((sum, head) => sum + data[(head * queries + query) * keys + key]!, 0) / heads.length / 65535,
  );
  const best = mean
    .map((weight, key) => ({ weight, key }))
    .sort((a, b) => b.weight - a.weight)
    .slice(0, SHOWN);
  return (
    <p class="top-keys" role="status">
      <bdi>
        <b>{tokenLabel(tokens[query] ?? '')}</b>
      </bdi>{' '}
      {to}:{' '}
      {best.map(({ weight, key }, i) => (
        <span key={key}>
          {i > 0 && ', '}
          <bdi>{tokenLabel(tokens[key] ?? '')}</bdi> {formatPercent(weight)}
        </span>
      ))}
    </p>
  );
}
