import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { formatPercent } from 'onnxray/views';
import type { Theme } from 'onnxray/views';
import type { PackedBlock } from '../engine/engine.ts';
import { fitCanvas, headImage, pageColor, probabilityTable, tokenLabel } from './attention-pixels.ts';
import type { Hover } from './hover.ts';
import { useWidth } from './use-size.ts';

export interface MatrixViewProps {
  readonly tokens: readonly string[];
  readonly block: PackedBlock;
  readonly head: number;
  readonly hover: Hover;
  readonly theme: Theme;
  readonly label: string;
  readonly zoomLabels: { readonly closer: string; readonly wider: string };
}

/** Beside the matrix: with the names of its tokens, and without. */
const NAMED = 78;
const UNNAMED = 8;
const LARGEST = 560;
/** Tokens are named at the edges as long as there is room to read them. */
const READABLE = 10;

/** One head as a matrix: rows are queries. The buttons or + and - bring it closer, dragging moves it, arrow keys walk from cell to cell. */
export function MatrixView({ tokens, block, head, hover, theme, label, zoomLabels }: MatrixViewProps) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const readout = useRef<HTMLParagraphElement>(null);
  const width = Math.min(LARGEST + NAMED, useWidth(box));
  const [zoom, setZoom] = useState(1);
  const origin = useRef({ x: 0, y: 0 });
  const drag = useRef<{ x: number; y: number } | undefined>(undefined);
  const { queries, keys, data } = block;
  const named = ((width - NAMED) * zoom) / Math.min(queries, keys) >= READABLE;
  const margin = named ? NAMED : UNNAMED;
  const side = Math.max(60, width - margin);
  const image = useMemo(() => headImage(block, head, probabilityTable(theme)), [block, head, theme]);
  const redraw = useRef(() => {});

  useEffect(() => {
    const most = 1 - 1 / zoom;
    origin.current = { x: Math.min(most, origin.current.x), y: Math.min(most, origin.current.y) };
    const draw = (): void => {
      if (canvas.current === null || width === 0) return;
      const context = fitCanvas(canvas.current, width, side + margin);
      const { x, y } = origin.current;
      const [cellX, cellY] = [(side * zoom) / keys, (side * zoom) / queries];
      context.save();
      context.beginPath();
      context.rect(margin, margin, side, side);
      context.clip();
      context.imageSmoothingEnabled = cellX < 1;
      context.drawImage(image, x * keys, y * queries, keys / zoom, queries / zoom, margin, margin, side, side);
      const left = (key: number): number => margin + key * cellX - x * side * zoom;
      const top = (query: number): number => margin + query * cellY - y * side * zoom;
      const { query, key } = hover.now;
      context.strokeStyle = pageColor(canvas.current, '--for', '#c70');
      context.lineWidth = 1.5;
      if (query >= 0) context.strokeRect(margin, top(query) - 0.5, side, Math.max(2, cellY) + 1);
      if (key >= 0) context.strokeRect(left(key) - 0.5, margin, Math.max(2, cellX) + 1, side);
      context.restore();
      context.strokeStyle = pageColor(canvas.current, '--hairline', '#ccc');
      context.lineWidth = 1;
      context.strokeRect(margin - 0.5, margin - 0.5, side + 1, side + 1);
      context.fillStyle = pageColor(canvas.current, '--muted', '#666');
      context.font = '11px system-ui, sans-serif';
      context.textBaseline = 'middle';
      const ink = pageColor(canvas.current, '--ink', '#000');
      const muted = pageColor(canvas.current, '--muted', '#666');
      context.textAlign = 'right';
      if (cellY >= READABLE)
        for (let row = Math.floor(y * queries); row < queries; row++) {
          const at = top(row) + cellY / 2;
          if (at > margin + side) break;
          if (at < margin) continue;
          context.fillStyle = row === query ? ink : muted;
          context.fillText(short(tokens[row] ?? ''), margin - 6, at);
        }
      if (cellX >= READABLE)
        for (let column = Math.floor(x * keys); column < keys; column++) {
          const at = left(column) + cellX / 2;
          if (at > margin + side) break;
          if (at < margin) continue;
          context.save();
          context.translate(at, margin - 6);
          context.rotate(-Math.PI / 2);
          context.textAlign = 'left';
          context.fillStyle = column === key ? ink : muted;
          context.fillText(short(tokens[column] ?? ''), 0, 0);
          context.restore();
        }
      if (readout.current !== null)
        readout.current.textContent =
          query >= 0 && key >= 0
            ? `${tokenLabel(tokens[query] ?? '')} → ${tokenLabel(tokens[key] ?? '')}  ${formatPercent(data[(head * queries + query) * keys + key]! / 65535)}`
            : '\u00a0';
    };
    redraw.current = draw;
    draw();
    return hover.listen(draw);
  }, [image, width, side, zoom, theme, hover, tokens]);

  const at = (event: MouseEvent): { query: number; key: number } | undefined => {
    const area = canvas.current!.getBoundingClientRect();
    const [x, y] = [(event.clientX - area.left - margin) / side, (event.clientY - area.top - margin) / side];
    if (x < 0 || y < 0 || x >= 1 || y >= 1) return undefined;
    return {
      query: Math.floor((origin.current.y + y / zoom) * queries),
      key: Math.floor((origin.current.x + x / zoom) * keys),
    };
  };
  const clamp = (value: number): number => Math.min(1 - 1 / zoom, Math.max(0, value));
  const move = (event: PointerEvent): void => {
    if (drag.current !== undefined && zoom > 1) {
      origin.current = {
        x: clamp(origin.current.x - (event.clientX - drag.current.x) / side / zoom),
        y: clamp(origin.current.y - (event.clientY - drag.current.y) / side / zoom),
      };
      drag.current = { x: event.clientX, y: event.clientY };
      redraw.current();
      return;
    }
    const found = at(event);
    if (found === undefined) hover.set(-1);
    else hover.set(found.query, found.key);
  };
  /** Marks a cell and, where the matrix is close, brings it into sight. */
  const walk = (query: number, key: number): void => {
    const inSight = (start: number, cell: number, count: number): number =>
      clamp(Math.min(cell / count, Math.max((cell + 1) / count - 1 / zoom, start)));
    origin.current = { x: inSight(origin.current.x, key, keys), y: inSight(origin.current.y, query, queries) };
    hover.set(query, key);
    redraw.current();
  };
  const press = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === '+' || event.key === '=') closer(1.6);
    else if (event.key === '-') closer(1 / 1.6);
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const { query, key } = hover.now;
    walk(
      query < 0 ? 0 : Math.min(queries - 1, Math.max(0, query + step[0]!)),
      key < 0 ? 0 : Math.min(keys - 1, Math.max(0, key + step[1]!)),
    );
  };
  const most = Math.max(1, Math.max(queries, keys) / 8);
  const closer = (factor: number): void => setZoom((now) => Math.min(most, Math.max(1, now * factor)));
  return (
    <div class="matrix-view" ref={box}>
      <canvas
        ref={canvas}
        role="application"
        tabIndex={0}
        aria-label={label}
        onKeyDown={press}
        onBlur={() => hover.set(-1)}
        onPointerMove={move}
        onPointerLeave={() => {
          drag.current = undefined;
          hover.set(-1);
        }}
        onPointerDown={(event) => {
          drag.current = { x: event.clientX, y: event.clientY };
        }}
        onPointerUp={() => {
          drag.current = undefined;
        }}
      />
      <div class="matrix-foot">
        <p class="readout" ref={readout} role="status">
          &nbsp;
        </p>
        <button
          type="button"
          class="icon"
          aria-label={zoomLabels.wider}
          title={zoomLabels.wider}
          disabled={zoom <= 1}
          onClick={() => closer(1 / 1.6)}
        >
          −
        </button>
        <button
          type="button"
          class="icon"
          aria-label={zoomLabels.closer}
          title={zoomLabels.closer}
          disabled={zoom >= most}
          onClick={() => closer(1.6)}
        >
          +
        </button>
      </div>
    </div>
  );
}

function short(token: string): string {
  const letters = [...tokenLabel(token)];
  return letters.length > 11 ? `${letters.slice(0, 10).join('')}…` : letters.join('');
}
