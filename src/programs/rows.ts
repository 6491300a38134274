/** How the rows of a program come about: the model's inputs repeated, its features moved between baseline and input. */
import { int } from '../onnx/index.ts';
import type { DataType, GraphBuilder, Model, ValueName } from '../onnx/index.ts';
import type { Feature } from './features.ts';
import { enlargePlanes } from './planes.ts';
import type { ProgramRequest } from './request.ts';
import { PROGRAM } from './names.ts';
import type { TwoCases } from './binary-masks.ts';
import { pickRows, twoCases } from './binary-masks.ts';
import { copyUpstream } from './copies.ts';

/** A feature in all rows. */
export interface Laid {
  readonly feature: Feature;
  /** The value each row computes with: [rows, ...]. */
  readonly point: ValueName;
  /** The baseline, [1, ...] or [rows, ...]; undefined for zeros. */
  readonly start: ValueName | undefined;
  /** input - baseline, [1, ...] or [rows, ...]. */
  readonly difference: ValueName;
  /** For tokens under masks of 0 and 1: what `point` is picked from. */
  readonly cases?: TwoCases;
}

/** Positions, or points, that all features share. */
export interface RowInputs {
  /** Of positions, weights and the like: float64 for a model that computes in it, else float32. */
  readonly type: DataType;
  /** The number of rows as an int64 vector of one element. */
  readonly count: ValueName;
  readonly positions: ValueName | undefined;
  readonly masks: ValueName | undefined;
}

export function addRowInputs(b: GraphBuilder, request: ProgramRequest, type: DataType): RowInputs {
  if (request.rows === 'alphas') {
    const positions = b.addInput({ name: PROGRAM.alphas, type, dims: ['rows'] });
    return { type, count: b.dimension(positions, 0), positions, masks: undefined };
  }
  if (request.rows === 'planes') {
    const { height, width } = request.planes!;
    const planes = b.addInput({ name: PROGRAM.planes, type: 'float32', dims: ['rows', height, width] });
    return { type, count: b.dimension(planes, 0), positions: undefined, masks: undefined };
  }
  if (request.rows === 'masks' || request.rows === 'channels') {
    const masks = b.addInput({ name: PROGRAM.masks, type: 'float32', dims: ['rows', 'groups'] });
    return { type, count: b.dimension(masks, 0), positions: undefined, masks };
  }
  const weights = b.addInput({ name: PROGRAM.weights, type, dims: ['rows'] });
  return { type, count: b.dimension(weights, 0), positions: undefined, masks: undefined };
}

/** Lays every feature of the request in rows. */
export function layRows(b: GraphBuilder, model: Model, request: ProgramRequest, rows: RowInputs): Laid[] {
  const starts = new Map<ValueName, ValueName>();
  for (const feature of request.inputs) {
    const start = baselineOf(b, model, feature, request.baseline);
    if (start !== undefined) starts.set(feature.value, start);
  }
  return request.features.map((feature) => layFeature(b, model, request, rows, feature, starts));
}

function layFeature(
  b: GraphBuilder,
  model: Model,
  request: ProgramRequest,
  rows: RowInputs,
  feature: Feature,
  starts: ReadonlyMap<ValueName, ValueName>,
): Laid {
  const clean = feature.kind === 'elements' ? feature.input : copyUpstream(b, model, feature.value, new Map());
  if (request.rows === 'channels') return layChannels(b, request, feature, clean, rows.masks!);
  if (request.rows === 'points') {
    const dims = ['rows', ...(b.dims(clean)?.slice(1) ?? [])];
    const point = b.addInput({ name: PROGRAM.points(feature.input), type: b.type(clean), dims });
    // A map has no use for differences.
    if (request.map !== undefined) return { feature, point, start: undefined, difference: point };
    const difference = b.addInput({ name: PROGRAM.differences(feature.input), type: b.type(clean), dims });
    return { feature, point, start: undefined, difference };
  }
  const start =
    feature.kind === 'layer' && request.baseline !== 'none'
      ? layerStart(b, model, request, feature, starts)
      : starts.get(feature.value);
  const end = request.noise === undefined ? clean : addNoise(b, feature, clean, request.noise);
  const difference = start === undefined ? end : b.sub(end, start);
  if (request.rows === 'planes') {
    const mask = b.cast(enlargePlanes(b, clean, request.planes!), b.type(clean));
    const kept = b.mul(mask, end);
    const point = start === undefined ? kept : b.add(kept, b.mul(b.sub(b.scalar(1, mask), mask), start));
    return { feature, point, start, difference };
  }
  const along = (axes: number) => Array.from({ length: axes }, (_, index) => index + 1);
  if (rows.masks !== undefined) {
    const mask = expandMask(b, feature, clean, rows.masks);
    const alone = request.features.length === 1 && request.baseline !== 'rows';
    if (request.binary === true && alone && feature.kind === 'tokens' && b.rank(clean) === 3) {
      const cases = twoCases(b, feature.value, clean, start, b.squeeze(mask, [2]));
      return { feature, point: pickRows(b, cases.cases, cases.places), start, difference, cases };
    }
    const kept = b.mul(mask, end);
    // The two products are exact where the mask is 0 or 1.
    const point = start === undefined ? kept : b.add(kept, b.mul(b.sub(b.scalar(1, mask), mask), start));
    return { feature, point, start, difference };
  }
  const position = b.unsqueeze(b.cast(rows.positions!, b.type(end)), along(b.rank(end) - 1));
  const moved = b.mul(position, difference);
  return { feature, point: start === undefined ? moved : b.add(start, moved), start, difference };
}

/** The baseline of one of the model's own features; undefined for zeros. */
function baselineOf(
  b: GraphBuilder,
  model: Model,
  feature: Feature,
  baseline: ProgramRequest['baseline'],
): ValueName | undefined {
  if (baseline === 'zero' || baseline === 'none') return undefined;
  const info = model.graph.inputs.find(({ name }) => name === feature.input)!;
  const dims = baseline === 'rows' && info.dims ? ['rows', ...info.dims.slice(1)] : info.dims;
  const given = b.addInput({ name: PROGRAM.baseline(feature.input), type: info.type, dims });
  return feature.kind === 'elements' ? given : copyUpstream(b, model, feature.value, new Map([[feature.input, given]]));
}

/** What a layer gives for the baseline of the inputs. */
function layerStart(
  b: GraphBuilder,
  model: Model,
  request: ProgramRequest,
  feature: Feature,
  starts: ReadonlyMap<ValueName, ValueName>,
): ValueName {
  const replaced = new Map(starts);
  for (const { value, kind, input } of request.inputs)
    if (!replaced.has(value))
      replaced.set(value, b.zerosLike(kind === 'elements' ? input : copyUpstream(b, model, value, new Map())));
  return copyUpstream(b, model, feature.value, replaced);
}

/** x + deviation * noise; a relative deviation is a fraction of max(x) - min(x). */
function addNoise(b: GraphBuilder, feature: Feature, clean: ValueName, kind: 'absolute' | 'relative'): ValueName {
  const noise = b.addInput({
    name: PROGRAM.noise(feature.input),
    type: b.type(clean),
    dims: ['rows', ...(b.dims(clean)?.slice(1) ?? [])],
  });
  let deviation = b.cast(noiseDeviation(b), b.type(clean));
  if (kind === 'relative') {
    const axes = Array.from({ length: b.rank(clean) }, (_, axis) => axis);
    const lowest = b.op('ReduceMin', [clean, b.int64s(axes)], { keepdims: int(0) });
    deviation = b.mul(deviation, b.sub(b.max(clean, axes, false), lowest));
  }
  return b.add(clean, b.mul(deviation, noise));
}

function noiseDeviation(b: GraphBuilder): ValueName {
  return b.facts(PROGRAM.deviation) === undefined
    ? b.addInput({ name: PROGRAM.deviation, type: 'float32', dims: [] })
    : PROGRAM.deviation;
}

/** Each row's mask of groups as a mask of elements: [rows, ...] to multiply the feature with. */
function expandMask(b: GraphBuilder, feature: Feature, clean: ValueName, masks: ValueName): ValueName {
  const hidden = feature.kind === 'tokens' ? 1 : 0;
  const shaped = b.dims(clean)?.slice(0, b.rank(clean) - hidden);
  const groups = b.addInput({ name: PROGRAM.groups(feature.input), type: 'int64', dims: shaped });
  const flat = b.gather(masks, b.reshapeTo(groups, [-1]), 1);
  const rest = Array.from({ length: b.rank(clean) - hidden - 1 }, (_, index) => b.dimension(groups, index + 1));
  const spread = b.reshape(flat, b.concat([b.dimension(masks, 0), ...rest], 0), [
    'rows',
    ...(shaped?.slice(1) ?? rest.map(() => undefined)),
  ]);
  const mask = b.cast(spread, b.type(clean));
  return hidden === 1 ? b.unsqueeze(mask, [b.rank(clean) - 1]) : mask;
}

/** One point of a layer, [1, ...], with each row's channels kept. */
function layChannels(
  b: GraphBuilder,
  request: ProgramRequest,
  feature: Feature,
  clean: ValueName,
  masks: ValueName,
): Laid {
  const base = b.addInput({ name: PROGRAM.points(feature.input), type: b.type(clean), dims: b.dims(clean) });
  const rank = b.rank(clean);
  const others = Array.from({ length: rank }, (_, axis) => axis).filter(
    (axis) => axis > 0 && axis !== request.channels!.axis,
  );
  const point = b.mul(b.unsqueeze(b.cast(masks, b.type(clean)), others), base);
  return { feature, point, start: undefined, difference: base };
}

/** A flag, such as a merged decoder's use_cache_branch, has no batch. */
export function hasNoRows(type: DataType, rank: number): boolean {
  return rank === 0 || (rank === 1 && type === 'bool');
}

/** [1, ...] repeated to [rows, ...]. */
export function repeatRows(b: GraphBuilder, input: ValueName, count: ValueName): ValueName {
  const rank = b.rank(input);
  if (hasNoRows(b.type(input), rank)) return input;
  const rest = Array.from({ length: rank - 1 }, (_, index) => b.dimension(input, index + 1));
  return b.op('Expand', [input, b.concat([count, ...rest], 0)], {}, { dims: ['rows', ...b.dims(input)!.slice(1)] });
}
