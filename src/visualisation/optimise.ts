/** Finding pictures: gradient ascent by Adam, several rows at once. */
import { seededRandom } from '../inputs/core.ts';
import type { Random } from '../inputs/core.ts';
import { sizeOf } from '../onnx/index.ts';
import type { DenseTensor, Model, NamedTensors } from '../onnx/index.ts';
import { adam } from '../programs/index.ts';
import { DEFAULT_MEMORY_BUDGET, activationBytes, rowsTogether } from '../runtime/core.ts';
import type { ModelHost, Session } from '../runtime/core.ts';
import { parameterDims, startingPoint } from './parametrisation.ts';
import type { Canvas } from './parametrisation.ts';
import { VISUALISATION, compileVisualisation } from './program.ts';
import type { VisualisationRequest } from './program.ts';

/** How far a picture is moved at random before each step, so that what is found does not hang on single pixels. */
export interface Robustness {
  /** Pixels, up to which it is shifted either way. */
  readonly jitter: number;
  /** Share of its size, up to which it is enlarged or reduced. */
  readonly scale: number;
  /** Degrees, up to which it is turned either way. */
  readonly rotate: number;
}

export interface Descent {
  readonly steps: number;
  readonly rate: number;
  readonly roughness: number;
  readonly robustness: Robustness;
  readonly seed: number;
  readonly memoryBudget?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each step with the row-steps done and to do. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface Found {
  /** RGB or grey from 0 to 1: [C, H, W]. */
  readonly picture: Float32Array;
  /** The score of the picture found and of the noise it began with, both unmoved. */
  readonly score: number;
  readonly startScore: number;
}

/** Larger batches are no faster on a CPU. */
const MAX_ROWS = 8;
const UNMOVED: readonly number[] = [1, 0, 0, 0, 1, 0];

/**
 * The picture for each aim, [...] as the request's value. Every aim starts from the same noise and is moved alike, so a
 * picture is the same alone or beside others. Cost: steps + 2 forward and backward passes for each.
 */
export async function findPictures(
  host: ModelHost,
  request: VisualisationRequest,
  aims: readonly Float32Array[],
  descent: Descent,
): Promise<readonly Found[]> {
  const session = await host.program(request, (model) => compileVisualisation(model, request));
  const program = host.compiled(request)!;
  const rows = rowsWithin(program, descent.memoryBudget ?? DEFAULT_MEMORY_BUDGET);
  const found: Found[] = [];
  for (let from = 0; from < aims.length; from += rows) {
    const some = aims.slice(from, from + rows);
    const total = aims.length * descent.steps;
    const report = (step: number) => descent.onProgress?.(from * descent.steps + step * some.length, total);
    found.push(...(await findTogether(session, request, some, descent, aimDims(program), report)));
  }
  return found;
}

async function findTogether(
  session: Session,
  { canvas, parametrisation }: VisualisationRequest,
  aims: readonly Float32Array[],
  { steps, rate, roughness, robustness, seed, signal }: Descent,
  dims: readonly number[],
  report: (step: number) => void,
): Promise<Found[]> {
  const count = aims.length;
  const shape = parameterDims(canvas, parametrisation);
  const size = sizeOf(shape);
  const start = startingPoint(size, seededRandom(seed));
  const parameters = stack(aims.map(() => start));
  const aim: DenseTensor = { type: 'float32', dims: [count, ...dims], data: stack(aims) };
  const run = (map: readonly number[], outputs: readonly string[]): Promise<NamedTensors> =>
    session.run(
      {
        [VISUALISATION.parameters]: { type: 'float32', dims: [count, ...shape], data: parameters },
        [VISUALISATION.maps]: {
          type: 'float32',
          dims: [count, 6],
          data: stack(aims.map(() => Float32Array.from(map))),
        },
        [VISUALISATION.aim]: aim,
        [VISUALISATION.roughness]: { type: 'float32', dims: [], data: Float32Array.of(roughness) },
      },
      { outputs, ...(signal === undefined ? {} : { signal }) },
    );
  const scoresOf = (results: NamedTensors) => results[VISUALISATION.scores]!.data as Float32Array;
  const startScores = scoresOf(await run(UNMOVED, [VISUALISATION.scores]));
  const random = seededRandom(seed + 1);
  const descend = adam<Float32Array>(parameters.length, rate);
  for (let step = 0; step < steps; step++) {
    const { [VISUALISATION.gradient]: gradient } = await run(randomMap(robustness, random), [VISUALISATION.gradient]);
    const slope = gradient!.data as Float32Array;
    // Up, not down.
    for (let at = 0; at < slope.length; at++) slope[at] = -slope[at]!;
    descend(parameters, slope);
    report(step + 1);
  }
  const last = await run(UNMOVED, [VISUALISATION.scores, VISUALISATION.picture]);
  const pictures = last[VISUALISATION.picture]!.data as Float32Array;
  const each = pictures.length / count;
  return aims.map((_, row) => ({
    picture: pictures.slice(row * each, (row + 1) * each),
    score: scoresOf(last)[row]!,
    startScore: startScores[row]!,
  }));
}

/** A turn, a size and a shift, evenly from those allowed. */
function randomMap({ jitter, scale, rotate }: Robustness, random: Random): readonly number[] {
  const between = (most: number) => (2 * random() - 1) * most;
  const angle = (between(rotate) * Math.PI) / 180;
  const size = 1 + between(scale);
  const [cosine, sine] = [Math.cos(angle) / size, Math.sin(angle) / size];
  return [cosine, sine, between(jitter), -sine, cosine, between(jitter)];
}

function aimDims({ graph }: Model): readonly number[] {
  return graph.inputs
    .find(({ name }) => name === VISUALISATION.aim)!
    .dims!.slice(1)
    .map(Number);
}

function rowsWithin(program: Model, budget: number): number {
  const dims = Object.fromEntries(
    program.graph.inputs.map(({ name, dims: own }) => [
      name,
      (own ?? []).map((dim) => (dim === 'rows' ? 1 : Number(dim))),
    ]),
  );
  return rowsTogether(activationBytes(program, dims), budget, MAX_ROWS);
}

function stack(rows: readonly Float32Array[]): Float32Array {
  const size = rows[0]!.length;
  const all = new Float32Array(rows.length * size);
  rows.forEach((row, at) => all.set(row, at * size));
  return all;
}

/** A picture from 0 to 1, [C, H, W], as 8-bit RGB. */
export function toPixels(picture: Float32Array, { height, width, channels }: Canvas): Uint8Array {
  const places = height * width;
  return Uint8Array.from({ length: places * 3 }, (_, at) => {
    const channel = channels === 1 ? 0 : at % 3;
    return Math.round(255 * picture[channel * places + Math.floor(at / 3)]!);
  });
}
