import { useEffect, useMemo, useRef } from 'preact/hooks';
import { cellColors, formatNumber, makeScale } from 'onnxray/views';
import type { Theme } from 'onnxray/views';
import type { ListedBlock } from '../engine/engine.ts';
import { atlasOf, fitCanvas, pageColor, probabilityTable } from './attention-pixels.ts';
import type { Hover } from './hover.ts';
import { useWidth } from './use-size.ts';

export interface ModelViewProps {
  readonly blocks: readonly ListedBlock[];
  readonly pixels: Uint8Array;
  /** Row of the block and the head that are chosen. */
  readonly chosen: { readonly row: number; readonly head: number };
  readonly onChoose: (row: number, head: number) => void;
  readonly hover: Hover;
  readonly theme: Theme;
  /** What tiles show: the heads themselves, or one number of each. */
  readonly measure?: string | undefined;
  readonly label: string;
  /** The chosen head in words: read out when it changes. */
  readonly chosenLabel: string;
}

const GAP = 3;
const LABEL = 34;
const HEADER = 18;
const LARGEST = 104;
const SMALLEST = 14;

/** All layers x heads at a glance. One image for all heads; the hovered token's row is marked in every one of them. */
export function ModelView({
  blocks,
  pixels,
  chosen,
  onChoose,
  hover,
  theme,
  measure,
  label,
  chosenLabel,
}: ModelViewProps) {
  const box = useRef<HTMLDivElement>(null);
  const base = useRef<HTMLCanvasElement>(null);
  const overlay = useRef<HTMLCanvasElement>(null);
  const width = useWidth(box);
  const heads = Math.max(...blocks.map((block) => block.heads));
  const tile = Math.max(SMALLEST, Math.min(LARGEST, Math.floor((width - LABEL) / heads) - GAP));
  const size = { width: LABEL + heads * (tile + GAP), height: HEADER + blocks.length * (tile + GAP) };
  const atlas = useMemo(() => atlasOf(blocks, pixels, probabilityTable(theme)), [blocks, pixels, theme]);
  const place = (row: number, head: number): [number, number] => [
    LABEL + head * (tile + GAP),
    HEADER + row * (tile + GAP),
  ];

  useEffect(() => {
    if (base.current === null || width === 0) return;
    const context = fitCanvas(base.current, size.width, size.height);
    context.font = '11px system-ui, sans-serif';
    context.fillStyle = pageColor(base.current, '--muted', '#666');
    context.textBaseline = 'middle';
    context.textAlign = 'center';
    const every = tile < 20 ? 2 : 1;
    for (let head = 0; head < heads; head += every)
      context.fillText(String(head), place(0, head)[0] + tile / 2, HEADER / 2);
    context.textAlign = 'right';
    const values = measure === undefined ? [] : blocks.flatMap((block) => block.measures[measure] ?? []);
    const scale = makeScale(values, 'sequential');
    blocks.forEach((block, row) => {
      context.fillStyle = pageColor(base.current!, '--muted', '#666');
      context.textAlign = 'right';
      context.fillText(layerName(block), LABEL - 7, place(row, 0)[1] + tile / 2);
      for (let head = 0; head < block.heads; head++) {
        const [x, y] = place(row, head);
        const value = measure === undefined ? undefined : block.measures[measure]?.[head];
        if (measure === undefined) {
          const from = atlas.tiles[row]![head]!;
          context.imageSmoothingEnabled = from.width > tile;
          context.drawImage(atlas.canvas, from.x, from.y, from.width, from.height, x, y, tile, tile);
        } else if (value !== undefined) {
          const { background, text } = cellColors(scale, value, theme);
          context.fillStyle = `rgb(${background.map(Math.round).join()})`;
          context.fillRect(x, y, tile, tile);
          if (tile < 30) continue;
          context.fillStyle = `rgb(${text.map(Math.round).join()})`;
          context.textAlign = 'center';
          context.fillText(formatNumber(value, 2), x + tile / 2, y + tile / 2);
        }
      }
    });
  }, [atlas, width, tile, measure, theme]);

  useEffect(() => {
    const draw = (): void => {
      if (overlay.current === null || width === 0) return;
      const context = fitCanvas(overlay.current, size.width, size.height);
      const ink = pageColor(overlay.current, '--ink', '#000');
      context.strokeStyle = pageColor(overlay.current, '--hairline', '#ccc');
      context.lineWidth = 1;
      blocks.forEach((block, row) => {
        for (let head = 0; head < block.heads; head++) {
          const [x, y] = place(row, head);
          context.strokeRect(x - 0.5, y - 0.5, tile + 1, tile + 1);
        }
      });
      const { query } = hover.now;
      if (query >= 0 && measure === undefined) {
        context.fillStyle = pageColor(overlay.current, '--for', '#c70');
        context.globalAlpha = 0.85;
        blocks.forEach((block, row) => {
          const height = Math.max(1.5, tile / block.queries);
          for (let head = 0; head < block.heads; head++) {
            const [x, y] = place(row, head);
            const top = y + (query / block.queries) * tile;
            // A frame around the row, so that what is in it stays seen.
            context.fillRect(x - 1, top - 1, tile + 2, 1);
            context.fillRect(x - 1, top + height, tile + 2, 1);
          }
        });
        context.globalAlpha = 1;
      }
      const [x, y] = place(chosen.row, chosen.head);
      context.strokeStyle = ink;
      context.lineWidth = 2;
      context.strokeRect(x - 2, y - 2, tile + 4, tile + 4);
    };
    draw();
    return hover.listen(draw);
  }, [hover, width, tile, chosen.row, chosen.head, blocks, theme, measure]);

  const at = (event: MouseEvent): { row: number; head: number; x: number; y: number } | undefined => {
    const area = overlay.current!.getBoundingClientRect();
    const [x, y] = [event.clientX - area.left, event.clientY - area.top];
    const row = Math.floor((y - HEADER) / (tile + GAP));
    const head = Math.floor((x - LABEL) / (tile + GAP));
    const block = blocks[row];
    if (block === undefined || head < 0 || head >= block.heads) return undefined;
    const [left, top] = place(row, head);
    return { row, head, x: (x - left) / tile, y: (y - top) / tile };
  };
  const move = (event: MouseEvent): void => {
    const found = at(event);
    const block = found && blocks[found.row]!;
    if (found === undefined || block === undefined || found.y >= 1 || found.x >= 1) hover.set(-1);
    else hover.set(Math.floor(found.y * block.queries), Math.floor(found.x * block.keys));
  };
  const keys = (event: KeyboardEvent): void => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const row = Math.min(blocks.length - 1, Math.max(0, chosen.row + step[0]!));
    onChoose(row, Math.min(blocks[row]!.heads - 1, Math.max(0, chosen.head + step[1]!)));
  };
  return (
    <div class="model-view" ref={box}>
      <div class="stack" style={{ width: `${size.width}px`, height: `${size.height}px` }}>
        <canvas ref={base} aria-hidden="true" />
        <canvas
          ref={overlay}
          // Arrow keys choose a head: a picture would not be told of them by a screen reader.
          role="application"
          tabIndex={0}
          aria-label={label}
          onMouseMove={move}
          onMouseLeave={() => hover.set(-1)}
          onClick={(event) => {
            const found = at(event);
            if (found !== undefined) onChoose(found.row, found.head);
          }}
          onKeyDown={keys}
        />
      </div>
      <p class="hidden" role="status">
        {chosenLabel}
      </p>
    </div>
  );
}

export function layerName({ kind, layer }: Pick<ListedBlock, 'kind' | 'layer'>): string {
  return kind === 'cross' ? `×${layer}` : kind === 'decoder' ? `d${layer}` : `L${layer}`;
}
