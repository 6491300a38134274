import { defineMethod } from '../../programs/index.ts';
import { openMasked, planeOf, spreadPositions } from './plane.ts';

/**
 * The answer minus the answer with a sliding window replaced by the baseline. A position's score is the mean over the
 * windows that cover it, as in Captum, or their sum (`overlap=sum`), as in PAIR's saliency. The last windows may hang
 * over the edge. Pictures have square windows over all channels; texts and vectors windows of neighbouring tokens or
 * elements, along `axis` with all there is beside it; tokens that begin or end a text always stay. Known flaw: the result depends on window size and baseline.
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
      aliases: ['sliding_window_shapes'],
    },
    stride: {
      kind: 'integer',
      default: null,
      min: 1,
      help: 'step between windows; default: half the window',
      aliases: ['strides'],
    },
    axis: { kind: 'integer', default: 1, min: 1, help: 'that windows slide along, of what is no picture' },
    overlap: { kind: 'choice', default: 'average', choices: ['average', 'sum'], help: 'of windows on one position' },
  },
  usesBaseline: true,
  layers: 'none',
  async attribute(context, { window, stride, axis, overlap }) {
    const plane = planeOf(context, axis);
    const { height, width } = plane;
    const flat = height === 1;
    const size = window ?? (flat ? 1 : Math.max(1, Math.round(Math.max(height, width) / 8)));
    const step = stride ?? Math.max(1, Math.floor(size / 2));
    const starts = (length: number) =>
      Array.from({ length: Math.ceil(Math.max(0, length - size) / step) + 1 }, (_, at) => at * step);
    const windows = starts(height).flatMap((y) => starts(width).map((x) => [flat ? 0 : y, x] as const));
    /** Calls back with the positions from `start` to `end` of each line a window covers. */
    const cover = (at: number, each: (start: number, end: number) => void) => {
      const [top, x] = windows[at]!;
      const bottom = flat ? 1 : Math.min(top + size, height);
      for (let y = top; y < bottom; y++) each(y * width + x, y * width + Math.min(x + size, width));
    };
    const runner = await openMasked(context, plane, true);
    const length = runner.groupCount();
    const target = await context.target(runner);
    const { values } = await runner.run(
      {
        weights: [1, ...windows.map(() => 1)],
        inputRow: 0,
        masks: (row) => {
          const mask = new Float32Array(length).fill(1);
          if (row > 0) cover(row - 1, (start, end) => mask.fill(0, start, end));
          return mask;
        },
      },
      target,
    );
    const [sums, counts] = [new Float64Array(height * width), new Float64Array(height * width)];
    windows.forEach((_, at) => {
      const drop = values[0]! - values[at + 1]!;
      cover(at, (start, end) => {
        for (let position = start; position < end; position++) {
          sums[position]! += drop;
          counts[position]!++;
        }
      });
    });
    const scores = overlap === 'sum' ? sums : sums.map((sum, position) => sum / Math.max(1, counts[position]!));
    return {
      scores: spreadPositions(context, plane, scores),
      value: values[0]!,
      baselineValue: null,
      sumsTo: null,
      found: { window: size, stride: step, windows: windows.length },
    };
  },
});
