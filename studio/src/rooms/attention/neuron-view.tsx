import { useEffect, useMemo, useRef } from 'preact/hooks';
import { formatNumber, formatPercent } from 'onnxray/views';
import type { Theme } from 'onnxray/views';
import type { HeadVectors, PackedBlock } from '../../engine/engine.ts';
import { useWords } from '../../frame/context.ts';
import { clipText, fitCanvas, pageColor, tokenLabel } from '../../parts/attention-pixels.ts';
import { divergingTable, largest, numbersImage } from '../../parts/diverging-pixels.ts';
import { drawOnMove } from '../../parts/hover.ts';
import type { Hover } from '../../parts/hover.ts';
import { useWidth } from '../../parts/use-size.ts';
import { ATTENTION_WORDS } from './words.ts';

interface NeuronViewProps {
  readonly tokens: readonly string[];
  readonly block: PackedBlock;
  readonly head: number;
  readonly vectors: HeadVectors;
  /** The query that is shown while no token is hovered. */
  readonly pinned: number;
  readonly hover: Hover;
  readonly theme: Theme;
  readonly label: (token: string) => string;
}

const ROW = 20;
const TOP = 66;
const TALLEST = 560;
const SUM = 58;
const SHARE = 62;

/**
 * The neuron view of BertViz (Vig 2019): the query of one token, and for each token its key, their product element by element,
 * its sum, and the attention that softmax makes of all sums. Only the rows in sight are drawn.
 */
export function NeuronView({ tokens, block, head, vectors, pinned, hover, theme, label }: NeuronViewProps) {
  const words = useWords(ATTENTION_WORDS);
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(box);
  const shown = useRef(pinned);
  shown.current = pinned;
  const { keys, queries } = block;
  const { size } = vectors;
  const whole = TOP + keys * ROW + 6;
  const height = Math.min(TALLEST, whole);
  const drawn = useMemo(() => {
    const limit = Math.max(largest(vectors.queries), largest(vectors.keys));
    const table = divergingTable(theme);
    return { limit, table, keys: numbersImage(vectors.keys, size, keys, limit, table) };
  }, [vectors, theme]);
  // One limit for all queries: products can be compared while the pointer moves.
  const productLimit = useMemo(() => {
    const [q, k] = [new Float32Array(size), new Float32Array(size)];
    vectors.queries.forEach((value, i) => (q[i % size] = Math.max(q[i % size]!, Math.abs(value))));
    vectors.keys.forEach((value, i) => (k[i % size] = Math.max(k[i % size]!, Math.abs(value))));
    return Math.max(1e-9, ...Array.from(q, (value, i) => value * k[i]!)) / 2;
  }, [vectors]);

  useEffect(() => {
    const scroller = box.current;
    if (scroller === null || width === 0) return undefined;
    const draw = (): void => {
      if (canvas.current === null) return;
      if (hover.now.query >= 0 && hover.now.query < queries) shown.current = hover.now.query;
      const query = shown.current;
      const key = hover.now.key;
      const context = fitCanvas(canvas.current, width, height);
      const ink = pageColor(canvas.current, '--ink', '#000');
      const muted = pageColor(canvas.current, '--muted', '#666');
      const side = Math.min(120, Math.max(64, width * 0.16));
      const strip = Math.max(20, (width - side - 14 - SUM - SHARE - 16) / 2);
      const [left, middle] = [side + 8, side + 8 + strip + 10];
      const top = scroller.scrollTop;
      const first = Math.max(0, Math.floor(top / ROW));
      const last = Math.min(keys, first + Math.ceil((height - TOP) / ROW) + 1);
      const y = (row: number): number => TOP + row * ROW - top;
      const own = vectors.queries.subarray(query * size, (query + 1) * size);
      const products = new Float32Array(Math.max(0, last - first) * size);
      for (let i = 0; i < products.length; i++) products[i] = own[i % size]! * vectors.keys[first * size + i]!;
      context.imageSmoothingEnabled = false;
      context.save();
      context.beginPath();
      context.rect(0, TOP, width, height - TOP);
      context.clip();
      const rows = last - first;
      context.drawImage(drawn.keys, 0, first, size, rows, left, y(first), strip, rows * ROW);
      const product = numbersImage(products, size, rows, productLimit, drawn.table);
      context.drawImage(product, middle, y(first), strip, rows * ROW);
      context.font = '13px system-ui, sans-serif';
      context.textBaseline = 'middle';
      const paper = pageColor(canvas.current, '--paper', '#fff');
      const marked = pageColor(canvas.current, '--for', '#c70');
      for (let row = first; row < last; row++) {
        context.fillStyle = paper;
        context.fillRect(left, y(row) + ROW - 2, width - left, 2);
        let sum = 0;
        for (let i = 0; i < size; i++) sum += products[(row - first) * size + i]!;
        const share = block.data[(head * queries + query) * keys + row]! / 65535;
        const x = middle + strip + SUM + 8;
        context.fillStyle = pageColor(canvas.current, '--unsigned', '#85b');
        context.globalAlpha = 0.45;
        context.fillRect(x, y(row) + 2, (SHARE - 2) * share, ROW - 6);
        context.globalAlpha = 1;
        context.fillStyle = row === key ? ink : muted;
        context.textAlign = 'right';
        const middleY = y(row) + ROW / 2 - 1;
        context.fillText(clipText(context, tokenLabel(tokens[row] ?? String(row)), side), side, middleY);
        context.fillStyle = ink;
        context.fillText(formatNumber(sum, 3), x - 8, middleY);
        context.fillText(formatPercent(share), x + SHARE - 2, middleY);
        if (row === key) {
          context.strokeStyle = marked;
          context.lineWidth = 1.5;
          context.strokeRect(1, y(row) + 0.5, width - 2, ROW - 2);
        }
      }
      context.restore();
      context.textBaseline = 'middle';
      context.font = '600 13px system-ui, sans-serif';
      context.fillStyle = ink;
      context.textAlign = 'right';
      context.fillText(clipText(context, tokenLabel(tokens[query] ?? String(query)), side), side, 28);
      context.drawImage(numbersImage(own, size, 1, drawn.limit, drawn.table), left, 19, strip, ROW - 2);
      context.font = '12px system-ui, sans-serif';
      context.fillStyle = muted;
      context.textAlign = 'left';
      context.fillText(words.query, left, 9);
      context.fillText(words.key, left, 54);
      context.fillText(words.product, middle, 54);
      context.textAlign = 'right';
      context.fillText(words.sum, middle + strip + SUM, 54);
      context.fillText(words.probability, width - 4, 54);
    };
    return drawOnMove(scroller, hover, draw);
  }, [width, height, drawn, productLimit, block, head, tokens, hover, words, pinned]);

  const step = (event: KeyboardEvent): void => {
    const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (by === 0) return;
    event.preventDefault();
    hover.set(Math.min(queries - 1, Math.max(0, shown.current + by)));
  };
  const move = (event: MouseEvent): void => {
    const area = canvas.current!.getBoundingClientRect();
    const row = Math.floor((event.clientY - area.top - TOP + box.current!.scrollTop) / ROW);
    hover.set(shown.current, event.clientY - area.top > TOP && row >= 0 && row < keys ? row : -1);
  };
  return (
    <div class="neuron">
      <div
        class="neuron-view"
        ref={box}
        tabIndex={0}
        role="group"
        aria-label={label(tokenLabel(tokens[pinned] ?? ''))}
        style={{ height: `${height}px` }}
        onKeyDown={step}
        onMouseMove={move}
        onMouseLeave={() => hover.set(-1)}
      >
        <div style={{ height: `${whole}px` }}>
          <canvas ref={canvas} aria-hidden="true" />
        </div>
      </div>
      <p class="hint">
        {words.vectorLegend(formatNumber(drawn.limit, 3))}; {words.productLegend(formatNumber(productLimit, 3))}
      </p>
    </div>
  );
}
