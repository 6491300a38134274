import { useMemo, useRef } from 'preact/hooks';
import { cellColors, formatNumber, formatPercent, makeScale } from 'onnxray/views';
import type { AttentionResult, AttentionView } from '../../engine/engine.ts';
import { useFrame, useParam, useWords } from '../../frame/context.ts';
import { readChoice } from '../../frame/params.ts';
import { attentionExporter } from '../../frame/export.ts';
import { HEAD_COLORS } from '../../parts/attention-pixels.ts';
import { ExportMenu } from '../../parts/export-menu.tsx';
import { layerName } from '../../parts/model-view.tsx';
import { placeLabels } from './labels.ts';
import { useWidth } from '../../parts/use-size.ts';
import { ATTENTION_WORDS } from './words.ts';

interface HeadMapProps {
  readonly result: AttentionResult;
  readonly view: AttentionView;
  readonly chosen: { readonly row: number; readonly head: number };
  readonly onChoose: (row: number, head: number) => void;
}

/** Of the drawing at most, and of it before its place is measured, in CSS pixels. */
const WIDEST = 1100;
const TALLEST = 520;
const EDGE = 34;
/** Of a letter of a label, and of its line, in units of the drawing. */
const LETTER = 6.6;
const LINE = 13;

/** Heads as points on a plane: near each other when they treat the text alike. */
export function HeadMap({ result, view, chosen, onChoose }: HeadMapProps) {
  const { language, theme } = useFrame();
  const words = useWords(ATTENTION_WORDS);
  const [given, setBy] = useParam('mapby', 'cluster');
  const by = readChoice(given, ['cluster', 'layer', ...MEASURES], 'cluster');
  const drawing = useRef<SVGSVGElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const width = Math.min(WIDEST, useWidth(box) || WIDEST);
  const height = Math.min(TALLEST, Math.max(300, width * 0.64));
  const places = result.places ?? [];
  const xs = places.map(({ x }) => x);
  const ys = places.map(({ y }) => y);
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  // One unit is as long across as up: distances are what the plane is for.
  const unit = Math.min((width - 2 * EDGE) / (right - left || 1), (height - 2 * EDGE) / (high - low || 1));
  const px = (x: number): number => width / 2 + (x - (left + right) / 2) * unit;
  const py = (y: number): number => height / 2 - (y - (low + high) / 2) * unit;
  const rowOf = (block: number): number => view.blocks.findIndex(({ index }) => index === block);
  const measures = Object.keys(view.blocks[0]?.measures ?? {}).filter(isMeasure);
  const measured = isMeasure(by) && measures.includes(by) ? by : undefined;
  const values = places.map(({ block, head, layer }) =>
    measured === undefined ? layer : (view.blocks[rowOf(block)]?.measures[measured]?.[head] ?? 0),
  );
  const scale = makeScale(values.length > 0 ? values : [1], 'sequential');
  const colour = (at: number): string => {
    if (by === 'cluster') return HEAD_COLORS[places[at]!.cluster % HEAD_COLORS.length]!;
    // From a tenth on, so that the least is still seen on the page.
    const value = scale.limit * 0.12 + 0.88 * values[at]!;
    return `rgb(${cellColors(scale, value, theme).background.map(Math.round).join()})`;
  };
  const clusters = [...new Set(places.map(({ cluster }) => cluster))].sort((a, b) => a - b);
  const nameOf = ({ block, head }: (typeof places)[number]): string =>
    `${layerName(view.blocks[rowOf(block)]!)}-${head}`;
  const chosenAt = places.findIndex(({ block, head }) => rowOf(block) === chosen.row && head === chosen.head);
  const labels = useMemo(
    () =>
      placeLabels(
        places.map(({ x, y }) => ({ x: px(x), y: py(y) })),
        places.map((place) => ({ width: nameOf(place).length * LETTER, height: LINE })),
        { width, height },
        chosenAt < 0 ? [] : [chosenAt],
      ),
    [result, view, chosenAt, width],
  );
  const choose = (at: number): void => {
    const { block, head } = places[at]!;
    onChoose(rowOf(block), head);
  };
  return (
    <div ref={box}>
      <div class="inline spread">
        <label>
          {words.colourBy}{' '}
          <select value={by} onChange={(event) => setBy(event.currentTarget.value)}>
            <option value="cluster">{words.byCluster}</option>
            <option value="layer">{words.byLayer}</option>
            {measures.map((each) => (
              <option key={each} value={each}>
                {words[each]}
              </option>
            ))}
          </select>
        </label>
        <ExportMenu name="head-map" exporter={attentionExporter(() => Promise.resolve(result), { language, theme })} />
      </div>
      <svg
        ref={drawing}
        class="head-map"
        viewBox={`0 0 ${width} ${height}`}
        style={{ width: `${width}px` }}
        role="group"
        aria-label={words.mapLabel(places.length)}
      >
        <rect width={width} height={height} class="ground" />
        {places.map((place, at) => {
          const name = nameOf(place);
          const isChosen = at === chosenAt;
          const beside = labels[at];
          return (
            <g
              key={name}
              role="button"
              tabindex={isChosen || (at === 0 && chosenAt < 0) ? 0 : -1}
              aria-label={`${name}, ${words.cluster(place.cluster)}${measured === undefined ? '' : `, ${words[measured]} ${formatNumber(values[at]!)}`}`}
              aria-pressed={isChosen}
              transform={`translate(${px(place.x).toFixed(1)} ${py(place.y).toFixed(1)})`}
              onClick={() => choose(at)}
              onKeyDown={(event) => {
                if (event.key === 'Enter' || event.key === ' ') {
                  event.preventDefault();
                  choose(at);
                }
                const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
                if (step === undefined) return;
                event.preventDefault();
                const all = drawing.current!.querySelectorAll<SVGGElement>('g[role=button]');
                all[(at + step + all.length) % all.length]?.focus();
              }}
            >
              <circle r={isChosen ? 8 : 5.5} style={{ fill: colour(at) }} />
              {beside !== undefined && (
                <text x={beside.x} y={beside.y} text-anchor={beside.anchor}>
                  {name}
                </text>
              )}
              <title>{name}</title>
            </g>
          );
        })}
      </svg>
      <ul class="keys">
        {by === 'cluster'
          ? clusters.map((cluster) => (
              <li key={cluster}>
                <i style={{ background: HEAD_COLORS[cluster % HEAD_COLORS.length]! }} /> {words.cluster(cluster)}
              </li>
            ))
          : [0, 0.5, 1].map((share) => (
              <li key={share}>
                <i
                  style={{
                    background: `rgb(${cellColors(scale, scale.limit * (0.12 + 0.88 * share), theme)
                      .background.map(Math.round)
                      .join()})`,
                  }}
                />{' '}
                {formatNumber(scale.limit * share, 3)}
              </li>
            ))}
        {measured !== undefined && <li>{words[measured]}</li>}
        {by === 'layer' && <li>{words.layer}</li>}
        {result.explained !== undefined && <li>{words.explained(formatPercent(result.explained))}</li>}
      </ul>
    </div>
  );
}

/** Measures of heads that the view brings along. */
export const MEASURES = ['entropy', 'confidence', 'distance'] as const;

function isMeasure(name: string): name is (typeof MEASURES)[number] {
  return MEASURES.some((each) => each === name);
}
