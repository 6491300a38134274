import { UserError } from '../../onnx/index.ts';
import type { AttributionContext } from '../../programs/index.ts';
import { defineMethod, findPlayers, spreadOver } from '../../programs/index.ts';

/** Axes a window slides over: the positions of a picture, else the first axis after the batch. */
interface Plane {
  readonly height: number;
  readonly width: number;
  /** Position of each element. */
  readonly positions: Int32Array;
}

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
    const given = {
      [context.features[0]!.input]: {
        type: 'int64',
        dims: context.inputs[context.features[0]!.input]!.dims,
        data: BigInt64Array.from(positions, BigInt),
      },
    } as const;
    const players = findPlayers({ ...spread(context), groups: given }, { features: 'auto', regions: 1 });
    const starts = (length: number) =>
      Array.from({ length: Math.ceil(Math.max(0, length - size) / step) + 1 }, (_, at) => at * step);
    const windows = starts(height).flatMap((y) => starts(width).map((x) => [flat ? 0 : y, x] as const));
    const covered = (at: number) => {
      const [y, x] = windows[at]!;
      const rows = flat ? [0] : range(y, Math.min(y + size, height));
      return rows.flatMap((row) => range(x, Math.min(x + size, width)).map((column) => row * width + column));
    };
    const runner = await context.open({ rows: 'masks', groups: players.groups });
    const target = await context.target(runner);
    const { values } = await runner.run(
      {
        weights: [1, ...windows.map(() => 1)],
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

/** The parts of a context as plain data, so that groups can be put in their place. */
function spread(context: AttributionContext): AttributionContext {
  const { features, inputs, baseline, modality, layer, neuron, seed } = context;
  return {
    open: (plan) => context.open(plan),
    target: (runner) => context.target(runner),
    features,
    inputs,
    baseline,
    modality,
    groups: undefined,
    layer,
    neuron,
    seed,
  };
}

function planeOf({ features, inputs, modality }: AttributionContext): Plane {
  if (features.length !== 1)
    throw new UserError(`occlusion slides over one input, but the model has ${features.length} that can be scored`);
  const { dims } = inputs[features[0]!.input]!;
  const last = modality.kind === 'image' && modality.layout === 'NHWC';
  const size = dims.reduce((product, dim) => product * dim, 1);
  const positions = new Int32Array(size);
  if (dims.length === 4) {
    const [height, width, channels] = last ? [dims[1]!, dims[2]!, dims[3]!] : [dims[2]!, dims[3]!, dims[1]!];
    for (let index = 0; index < size; index++)
      positions[index] = last ? Math.floor(index / channels) : index % (height * width);
    return { height, width, positions };
  }
  const width = dims[1] ?? 1;
  const inner = size / width;
  for (let index = 0; index < size; index++) positions[index] = Math.floor(index / inner);
  return { height: 1, width, positions };
}
