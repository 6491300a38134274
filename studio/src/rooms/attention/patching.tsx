import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { cellColors, formatExact, formatNumber, makeScale } from 'onnxray/views';
import type { Theme } from 'onnxray/views';
import type { Intervention } from '../../engine/engine.ts';
import { useFrame, useHistory, useJob, useParam, useWords } from '../../frame/context.ts';
import { interventionExporter } from '../../frame/export.ts';
import { clipText, fitCanvas, pageColor, tokenLabel } from '../../parts/attention-pixels.ts';
import { divergingTable, numbersImage } from '../../parts/diverging-pixels.ts';
import { ExportMenu } from '../../parts/export-menu.tsx';
import { Failure } from '../../parts/failure.tsx';
import type { Hover } from '../../parts/hover.ts';
import { useWidth } from '../../parts/use-size.ts';
import { ATTENTION_WORDS } from './words.ts';

const PATCHES = ['stream', 'heads', 'pattern', 'attention', 'mlp'] as const;
const TYPING_MS = 500;

/** Activation patching: which layer and place carries the answer from one text into the run of another. */
export function Patching({
  model,
  text,
  hover,
}: {
  readonly model: string;
  readonly text: string;
  readonly hover: Hover;
}) {
  const { engine, language, theme } = useFrame();
  const words = useWords(ATTENTION_WORDS);
  const target = useHistory().state.params['target'];
  const [corrupted, setCorrupted] = useParam('corrupted', text);
  const [given, setWhat] = useParam('patch', 'stream');
  const what = PATCHES.find((each) => each === given) ?? 'stream';
  const same = corrupted === text || corrupted.trim() === '';
  const key = same ? undefined : JSON.stringify([model, text, corrupted, what, target]);
  const { value, error, stale, retry } = useJob(
    key,
    words.patchingRun,
    (control) =>
      engine.patch(
        { model, clean: { kind: 'text', text }, corrupted: { kind: 'text', text: corrupted }, what, target },
        control,
      ),
    TYPING_MS,
  );
  return (
    <div>
      <label class="field">
        <span>{words.corrupted}</span>
        <textarea
          rows={2}
          value={corrupted}
          spellcheck={false}
          onInput={(event) => setCorrupted(event.currentTarget.value)}
        />
      </label>
      <div class="inline spread">
        <div class="chips" role="group" aria-label={words.patched}>
          {PATCHES.map((each) => (
            <button key={each} type="button" class="chip" aria-pressed={what === each} onClick={() => setWhat(each)}>
              {words.places[each]}
            </button>
          ))}
        </div>
        {value !== undefined && !same && (
          <ExportMenu name={`patching-${what}`} exporter={interventionExporter(value, { language, theme })} />
        )}
      </div>
      {same ? (
        <p class="hint">{words.patchingSame}</p>
      ) : error !== undefined ? (
        <Failure error={error} onRetry={retry} />
      ) : value === undefined ? (
        <div class="skeleton" role="status" aria-label={words.patchingRun} />
      ) : (
        <div aria-busy={stale} class={stale ? 'stale-room' : ''}>
          <p class="what">
            {words.patchingValues(
              value.target.label,
              formatNumber(value.value),
              formatNumber(value.corruptedValue ?? Number.NaN),
            )}
          </p>
          <PatchMap found={value} hover={hover} theme={theme} />
          {value.warnings.map((warning) => (
            <p class="caution-line" key={warning}>
              {warning}
            </p>
          ))}
        </div>
      )}
    </div>
  );
}

const LEFT = 44;
const ROW = 24;

/** Layers down, places across; a hovered token is marked here as everywhere. */
function PatchMap({
  found,
  hover,
  theme,
}: {
  readonly found: Intervention;
  readonly hover: Hover;
  readonly theme: Theme;
}) {
  const words = useWords(ATTENTION_WORDS);
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const readout = useRef<HTMLParagraphElement>(null);
  const width = useWidth(box);
  const [cell, setCell] = useState<{ row: number; column: number } | undefined>();
  const { rows, columns, measures } = found.tables[0]!;
  const data = measures['normalised']!.data;
  const byPosition = columns.name === 'position';
  // A few places beyond 0 and 1 must not wash out the rest.
  const limit = Math.min(2, Math.max(1, makeScale(Array.from(data).filter(Number.isFinite), 'diverging').limit));
  const [count, depth] = [columns.labels.length, rows.labels.length];
  const cellWidth = Math.max(byPosition ? 15 : 28, Math.min(64, (width - LEFT) / count));
  const top = byPosition ? 96 : 30;
  const size = { width: LEFT + count * cellWidth, height: top + depth * ROW + 4 };
  const image = useMemo(() => numbersImage(data, count, depth, limit, divergingTable(theme)), [found, theme]);

  useEffect(() => {
    if (width === 0) return undefined;
    const draw = (): void => {
      if (canvas.current === null) return;
      const context = fitCanvas(canvas.current, size.width, size.height);
      const [ink, muted] = [pageColor(canvas.current, '--ink', '#000'), pageColor(canvas.current, '--muted', '#666')];
      const lit = byPosition ? Math.max(hover.now.query, hover.now.key) : -1;
      context.imageSmoothingEnabled = false;
      context.drawImage(image, LEFT, top, count * cellWidth, depth * ROW);
      context.font = '12px system-ui, sans-serif';
      context.textBaseline = 'middle';
      context.textAlign = 'right';
      context.fillStyle = muted;
      rows.labels.forEach((name, row) => context.fillText(`L${name}`, LEFT - 7, top + (row + 0.5) * ROW));
      columns.labels.forEach((name, column) => {
        context.save();
        context.fillStyle = column === lit || column === cell?.column ? ink : muted;
        context.translate(LEFT + (column + 0.5) * cellWidth, top - 7);
        if (byPosition) context.rotate(-Math.PI / 2);
        context.textAlign = byPosition ? 'left' : 'center';
        context.fillText(byPosition ? clipText(context, tokenLabel(name), top - 10) : name, 0, 0);
        context.restore();
      });
      context.strokeStyle = pageColor(canvas.current, '--hairline', '#ccc');
      context.strokeRect(LEFT - 0.5, top - 0.5, count * cellWidth + 1, depth * ROW + 1);
      context.strokeStyle = ink;
      context.lineWidth = 1.5;
      if (lit >= 0) context.strokeRect(LEFT + lit * cellWidth, top, cellWidth, depth * ROW);
      if (cell !== undefined) context.strokeRect(LEFT + cell.column * cellWidth, top + cell.row * ROW, cellWidth, ROW);
    };
    draw();
    return hover.listen(draw);
  }, [image, width, cell, hover, theme]);

  const show = (row: number, column: number): void => {
    if (row < 0 || row >= depth || column < 0 || column >= count) {
      setCell(undefined);
      hover.set(-1);
      return;
    }
    if (cell?.row !== row || cell.column !== column) setCell({ row, column });
    if (byPosition) hover.set(column);
  };
  const value = cell && data[cell.row * count + cell.column]!;
  const marks = [-limit, 0, 1, ...(limit > 1 ? [limit] : [])];
  return (
    <div class="patch-map">
      <div class="scroll" ref={box}>
        <canvas
          ref={canvas}
          role="application"
          tabIndex={0}
          aria-label={words.patchingLabel(depth, count)}
          onMouseMove={(event) => {
            const area = canvas.current!.getBoundingClientRect();
            show(
              Math.floor((event.clientY - area.top - top) / ROW),
              Math.floor((event.clientX - area.left - LEFT) / cellWidth),
            );
          }}
          onMouseLeave={() => show(-1, -1)}
          onKeyDown={(event) => {
            const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
            if (step === undefined) return;
            event.preventDefault();
            show(
              Math.min(depth - 1, Math.max(0, (cell?.row ?? -1) + step[0]!)),
              Math.min(count - 1, Math.max(0, (cell?.column ?? -1) + step[1]!)),
            );
          }}
        />
      </div>
      <p class="readout" ref={readout} role="status">
        {cell === undefined || value === undefined
          ? '\u00a0'
          : `L${rows.labels[cell.row]} · ${byPosition ? tokenLabel(columns.labels[cell.column]!) : words.head(cell.column)}: ${formatExact(value)}`}
      </p>
      <ul class="keys">
        {marks.map((mark) => (
          <li key={mark}>
            <i
              style={{
                background: `rgb(${cellColors({ ...makeScale([limit], 'diverging') }, mark, theme)
                  .background.map(Math.round)
                  .join()})`,
              }}
            />{' '}
            {formatNumber(mark, 2)}
          </li>
        ))}
        <li>{words.restored}</li>
      </ul>
    </div>
  );
}
