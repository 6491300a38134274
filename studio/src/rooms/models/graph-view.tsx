import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { DrawableGraph, ModelSummary } from '../../engine/engine.ts';
import { useFrame, useHistory, useWords } from '../../frame/context.ts';
import { svgExporter } from '../../frame/export.ts';
import { ExportMenu } from '../../parts/export-menu.tsx';
import { standaloneSvg } from '../../parts/standalone-svg.ts';
import type { Box } from './layout.ts';
import { initiallyOpen, layoutGraph } from './layout.ts';
import { MODEL_WORDS } from './words.ts';

const WIDTH = 176;
const HEIGHT = 42;
const GAP_X = 22;
const GAP_Y = 26;
const MOST_BOXES = 500;
/** Open modules are named one by one as long as they are few. */
const MOST_CHIPS = 8;

/** The graph as modules that open at a click. */
export function GraphView({ graph, model }: { readonly graph: DrawableGraph; readonly model: ModelSummary }) {
  const { state } = useFrame();
  const { name } = model;
  const words = useWords(MODEL_WORDS);
  const first = useMemo(() => initiallyOpen(graph), [graph]);
  // Of this model: in the address of a view that another model was looked at in, its modules are none of ours.
  const [of, ...paths] = (useHistory().state.params['open'] ?? '').split('\n');
  const open = useMemo<ReadonlySet<string>>(
    () => (of === model.id ? new Set(paths) : first),
    [of, paths.join('\n'), first],
  );
  const setOpen = (next: ReadonlySet<string>): void => state.change({ open: [model.id, ...next].join('\n') });
  const [picked, setPicked] = useState<Box | undefined>();
  const drawing = useRef<SVGSVGElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const layout = useMemo(() => layoutGraph(graph, open), [graph, open]);
  const { boxes, edges, ranks, columns } = layout;
  const perRank = useMemo(() => {
    const counts = new Map<number, number>();
    for (const { rank } of boxes) counts.set(rank, (counts.get(rank) ?? 0) + 1);
    return counts;
  }, [boxes]);
  const width = columns * (WIDTH + GAP_X) + GAP_X;
  const height = ranks * (HEIGHT + GAP_Y) + GAP_Y;
  const x = ({ rank, column }: Box): number =>
    width / 2 + (column - (perRank.get(rank)! - 1) / 2) * (WIDTH + GAP_X) - WIDTH / 2;
  const y = ({ rank }: Box): number => GAP_Y / 2 + rank * (HEIGHT + GAP_Y);
  // What is wider than its place is looked at from its middle, where the inputs are.
  useEffect(() => {
    const element = scroller.current;
    if (element !== null) element.scrollLeft = (element.scrollWidth - element.clientWidth) / 2;
  }, [graph]);
  const choose = (box: Box): void => {
    setPicked(box);
    if (box.kind === 'module') setOpen(new Set([...open, box.id]));
  };
  return (
    <article class="card wide graph">
      <header>
        <h2>{words.graph}</h2>
        {boxes.length <= MOST_BOXES && (
          <ExportMenu
            name={`graph-${name}`}
            exporter={svgExporter(
              `${words.graph}: ${name}`,
              () => standaloneSvg(drawing.current!, `${words.graph}: ${name}`),
              () => ({ model: name, open: [...open], ...graph }),
            )}
          />
        )}
      </header>
      <p class="what">{words.graphHint}</p>
      <div class="chips">
        {open.size > 0 && (
          <button type="button" class="chip" onClick={() => setOpen(new Set())}>
            {words.close}
          </button>
        )}
        {[...open].slice(open.size > MOST_CHIPS ? open.size : 0).map((path) => (
          <button
            key={path}
            type="button"
            class="chip removable"
            onClick={() => setOpen(new Set([...open].filter((each) => each !== path && !each.startsWith(`${path}.`))))}
          >
            {path} <span aria-hidden="true">×</span>
          </button>
        ))}
      </div>
      {boxes.length > MOST_BOXES ? (
        <p class="notice">{words.tooMany}</p>
      ) : (
        <div
          class="graph-scroll"
          ref={scroller}
          tabIndex={0}
          role="group"
          aria-label={words.graphLabel(boxes.length, graph.nodes.length)}
        >
          <svg ref={drawing} width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
            {edges.map(([from, to]) => {
              const [a, b] = [boxes[from]!, boxes[to]!];
              const [x1, y1, x2, y2] = [x(a) + WIDTH / 2, y(a) + HEIGHT, x(b) + WIDTH / 2, y(b)];
              const bend = Math.max(GAP_Y / 2, Math.min(60, Math.abs(y2 - y1) / 2));
              const lit = picked !== undefined && (picked.id === a.id || picked.id === b.id);
              return (
                <path
                  key={`${from} ${to}`}
                  class={lit ? 'edge lit' : 'edge'}
                  d={`M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`}
                />
              );
            })}
            {boxes.map((box) => (
              <g
                key={box.id}
                class={`box-${box.kind}${picked?.id === box.id ? ' lit' : ''}`}
                transform={`translate(${x(box)} ${y(box)})`}
                role="button"
                // In SVG names of attributes keep their case.
                tabindex={0}
                onClick={() => choose(box)}
                onKeyDown={(event) => {
                  if (event.key !== 'Enter' && event.key !== ' ') return;
                  event.preventDefault();
                  choose(box);
                }}
              >
                <title>{box.id.replace(/^\0\w+:/, '')}</title>
                <rect
                  width={WIDTH}
                  height={HEIGHT}
                  rx={box.kind === 'input' || box.kind === 'output' ? HEIGHT / 2 : 9}
                />
                <text class="name" x={WIDTH / 2} y="18" text-anchor="middle">
                  {clip(box.name, 24)}
                </text>
                <text class="more" x={WIDTH / 2} y="33" text-anchor="middle">
                  {clip(describe(box, graph, words), 29)}
                </text>
              </g>
            ))}
          </svg>
        </div>
      )}
      <p class="readout" role="status">
        {picked === undefined || picked.kind !== 'node' ? '\u00a0' : nodeLine(picked, graph)}
      </p>
    </article>
  );
}

function describe(box: Box, graph: DrawableGraph, words: (typeof MODEL_WORDS)['en']): string {
  if (box.kind === 'input' || box.kind === 'output') return words[box.kind];
  if (box.kind === 'node') {
    const node = graph.nodes[box.nodes[0]!]!;
    return `${node.operator} ${dimsText(node.dims)}`;
  }
  const counts = new Map<string, number>();
  for (const index of box.nodes) {
    const { operator } = graph.nodes[index]!;
    counts.set(operator, (counts.get(operator) ?? 0) + 1);
  }
  const attends = counts.has('Softmax') ? ' · Softmax' : counts.has('Conv') ? ` · Conv ${counts.get('Conv')}` : '';
  return `${words.nodes(box.nodes.length)}${attends}`;
}

function nodeLine(box: Box, graph: DrawableGraph): string {
  const node = graph.nodes[box.nodes[0]!]!;
  return `${node.path}: ${node.operator} → ${dimsText(node.dims)}`;
}

export function dimsText(dims: readonly (number | string | null)[] | null): string {
  return dims === null ? '' : `[${dims.map((dim) => dim ?? '?').join(', ')}]`;
}

function clip(text: string, most: number): string {
  const letters = [...text];
  return letters.length > most ? `${letters.slice(0, most - 1).join('')}…` : text;
}
