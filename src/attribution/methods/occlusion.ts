import { defineMethod, findPlayers, spreadOver } from '../../programs/index.ts';
import { planeOf, positionsOnly } from './plane.ts';

/**
 * The answer minus the answer with a sliding window replaced by the baseline. A position's score is the mean over the
 * windows that cover it, as in Captum, or their sum (`overlap=sum`), as in PAIR's saliency. The last windows may hang
 * over the edge. Pictures have square windows over all channels; texts and vectors windows of neighbouring tokens or
 * elements. Known flaw: the result depends on window size and baseline.
 * Zeiler & Fergus 2014, https://arxiv.org/abs/1311.2901. Cost: one forward pass for each window.
 */
export const occlusion = defineMethod({
  name: 'occlusion',
  summary: 'how much the answer drops when a sliding window is replaced by the baseline',
  options: {
    window: {
      kind: 'integer',
      default: null,
      min: 1,
      help: 'size; default: an eighth of the longer side, 1 for tokens',
    },
    stride: { kind: 'integer', default: null, min: 1, help: 'step between windows; default: half the window' },
    overlap: { kind: 'choice', default: 'average', choices: ['average', 'sum'], help: 'of windows on one position' },
  },
  usesBaseline: true,
  layers: 'none',
  async attribute(context, { window, stride, overlap }) {
    const { height, width, positions } = planeOf(context);
    const flat = height === 1;
    const size = window ?? (flat ? 1 : Math.max(1, Math.round(Math.max(height, width) / 8)));
    const step = stride ?? Math.max(1, Math.floor(size / 2));
    const players = findPlayers(positionsOnly(context, positions), { features: 'auto', regions: 1 });
    const starts = (length: number) =>
      Array.from({ length: Math.ceil(Math.max(0, length - size) / step) + 1 }, (_, at) => at * step);
    const windows = starts(height).flatMap((y) => starts(width).map((x) => [flat ? 0 : y, x] as const));
    const covered = (at: number) => {
      const [y, x] = windows[at]!;
      const rows = flat ? [0] : range(y, Math.min(y + size, height));
      return rows.flatMap((row) => range(x, Math.min(x + size, width)).map((column) => row * width + column));
    };
    const runner = await context.open({ rows: 'masks', binary: true, groups: players.groups });
    const target = await context.target(runner);
    const { values } = await runner.run(
      {
        weights: [1, ...windows.map(() => 1)],
        inputRow: 0,
        masks: (row) => {
          const mask = new Float32Array(players.count + 1).fill(1);
          if (row > 0) for (const position of covered(row - 1)) mask[position] = 0;
          return mask;
        },
      },
      target,
    );
    const [sums, counts] = [new Float64Array(height * width), new Float64Array(height * width)];
    windows.forEach((_, at) => {
      for (const position of covered(at)) {
        sums[position]! += values[0]! - values[at + 1]!;
        counts[position]!++;
      }
    });
    const scores = overlap === 'sum' ? sums : sums.map((sum, position) => sum / Math.max(1, counts[position]!));
    return {
      scores: spreadOver(players, scores, false),
      value: values[0]!,
      baselineValue: null,
      sumsTo: null,
      found: { window: size, stride: step, windows: windows.length },
    };
  },
});

const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index);
