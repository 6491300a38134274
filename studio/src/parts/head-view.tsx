import { useEffect, useRef } from 'preact/hooks';
import type { Theme } from 'onnxray/views';
import type { PackedBlock } from '../engine/engine.ts';
import { HEAD_COLORS, clipText, fitCanvas, pageColor, tokenLabel } from './attention-pixels.ts';
import { drawOnMove } from './hover.ts';
import type { Hover } from './hover.ts';
import { useWidth } from './use-size.ts';

export interface HeadViewProps {
  readonly tokens: readonly string[];
  readonly block: PackedBlock;
  /** Heads drawn together, each in a colour of its own. */
  readonly heads: readonly number[];
  readonly hover: Hover;
  readonly theme: Theme;
  readonly label: string;
  /** A token on the left was clicked, or Enter pressed on it. */
  readonly onPick?: (query: number) => void;
}

const ROW = 22;
const TALLEST = 560;
/** Weaker lines are left out: they would only be mist. The hovered token shows more of its own. */
const THRESHOLD = 0.04;
const HOVER_THRESHOLD = 0.008;
/** Lines are drawn in steps of strength, so that all of one strength are one stroke. */
const STEPS = 12;

/** Queries on the left, keys on the right, attention between them. Only the rows in sight are drawn, however long the text. */
export function HeadView({ tokens, block, heads, hover, theme, label, onPick }: HeadViewProps) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(box);
  const rows = Math.max(block.queries, block.keys);
  const height = Math.min(TALLEST, rows * ROW + 8);
  const side = Math.min(150, Math.max(76, width * 0.27));

  useEffect(() => {
    const scroller = box.current;
    if (scroller === null || canvas.current === null || width === 0) return undefined;
    const draw = (): void => {
      if (canvas.current === null) return;
      const context = fitCanvas(canvas.current, width, height);
      drawHeads(
        context,
        {
          tokens,
          block,
          heads,
          width,
          height,
          side,
          top: scroller.scrollTop,
          query: hover.now.query,
          key: hover.now.key,
        },
        canvas.current!,
      );
    };
    return drawOnMove(scroller, hover, draw);
  }, [width, height, block, heads, tokens, theme, hover]);

  const move = (event: MouseEvent): void => {
    const area = canvas.current!.getBoundingClientRect();
    const row = Math.floor((event.clientY - area.top + box.current!.scrollTop - 4) / ROW);
    const left = event.clientX - area.left;
    if (left < width / 2) hover.set(row >= 0 && row < block.queries ? row : -1);
    else hover.set(-1, row >= 0 && row < block.keys ? row : -1);
  };
  const keys = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && hover.now.query >= 0) onPick?.(hover.now.query);
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const query = Math.min(block.queries - 1, Math.max(0, hover.now.query + step));
    hover.set(query);
    const [top, bottom] = [query * ROW, (query + 2) * ROW];
    const scroller = box.current!;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (bottom > scroller.scrollTop + height) scroller.scrollTop = bottom - height;
  };
  return (
    <div
      class="head-view"
      ref={box}
      tabIndex={0}
      role="group"
      aria-label={label}
      style={{ height: `${height}px` }}
      onKeyDown={keys}
      onMouseMove={move}
      onMouseLeave={() => hover.set(-1)}
      onClick={() => {
        if (hover.now.query >= 0) onPick?.(hover.now.query);
      }}
    >
      <div style={{ height: `${rows * ROW + 8}px` }}>
        <canvas ref={canvas} aria-hidden="true" />
      </div>
    </div>
  );
}

interface Drawn extends Pick<HeadViewProps, 'tokens' | 'block' | 'heads'> {
  readonly width: number;
  readonly height: number;
  /** Width of each list of tokens. */
  readonly side: number;
  /** How far it is scrolled. */
  readonly top: number;
  readonly query: number;
  readonly key: number;
}

function drawHeads(context: CanvasRenderingContext2D, drawn: Drawn, page: Element): void {
  const { tokens, block, heads, width, height, side, top, query, key } = drawn;
  const { queries, keys, data } = block;
  const first = Math.max(0, Math.floor((top - 4) / ROW) - 1);
  const last = Math.ceil((top + height) / ROW) + 1;
  const y = (row: number): number => 4 + row * ROW - top + ROW / 2;
  const [left, right] = [side + 6, width - side - 6];
  const shown = query >= 0 ? [query] : range(first, Math.min(queries, last));
  const least = query >= 0 || key >= 0 ? HOVER_THRESHOLD : THRESHOLD;
  const received = new Float32Array(keys);
  heads.forEach((head, order) => {
    const strengths: (Path2D | undefined)[] = [];
    for (const row of shown) {
      const from = (head * queries + row) * keys;
      for (let column = key >= 0 ? key : 0; column < (key >= 0 ? key + 1 : keys); column++) {
        const weight = data[from + column]! / 65535;
        if (query >= 0) received[column]! += weight / heads.length;
        if (weight < least) continue;
        const step = Math.min(STEPS - 1, Math.floor(Math.sqrt(weight) * STEPS));
        const path = (strengths[step] ??= new Path2D());
        const middle = (left + right) / 2;
        path.moveTo(left, y(row));
        path.bezierCurveTo(middle, y(row), middle, y(column), right, y(column));
      }
    }
    context.strokeStyle = HEAD_COLORS[order % HEAD_COLORS.length]!;
    strengths.forEach((path, step) => {
      if (path === undefined) return;
      const strength = ((step + 0.5) / STEPS) ** 2;
      context.globalAlpha = Math.min(1, 0.1 + 0.9 * strength);
      context.lineWidth = 0.7 + 2.2 * strength;
      context.stroke(path);
    });
  });
  context.globalAlpha = 1;
  const [ink, muted, soft] = [
    pageColor(page, '--ink', '#000'),
    pageColor(page, '--muted', '#666'),
    pageColor(page, '--sunk', '#eee'),
  ];
  context.font = '13px system-ui, sans-serif';
  context.textBaseline = 'middle';
  const label = (row: number, atRight: boolean, lit: number): void => {
    if (lit > 0) {
      context.globalAlpha = Math.min(1, lit);
      context.fillStyle = lit >= 2 ? soft : HEAD_COLORS[0]!;
      if (lit < 2) context.globalAlpha *= 0.35;
      context.fillRect(atRight ? right + 2 : 0, y(row) - ROW / 2 + 1, side + 2, ROW - 2);
      context.globalAlpha = 1;
    }
    context.fillStyle = lit > 0 || query < 0 ? ink : muted;
    context.textAlign = atRight ? 'left' : 'right';
    const text = clipText(context, tokenLabel(tokens[row] ?? String(row)), side - 10);
    context.fillText(text, atRight ? right + 8 : left - 8, y(row));
  };
  for (let row = first; row < Math.min(queries, last); row++) label(row, false, row === query ? 2 : 0);
  for (let row = first; row < Math.min(keys, last); row++)
    label(row, true, row === key ? 2 : Math.sqrt(received[row]!));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}
