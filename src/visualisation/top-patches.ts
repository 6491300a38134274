/** What of many pictures excites channels most: the parts that the strongest places of a layer see. */
import { GraphBuilder, UserError, int, normalizeModel, pruneModel, remembered } from '../onnx/index.ts';
import type { Model, NamedTensors, ValueName } from '../onnx/index.ts';
import { resample } from '../inputs/core.ts';
import type { ImageFileEncoding, ImageSource, Pixels, Rectangle } from '../inputs/core.ts';
import type { ExplainableModel } from '../attribution/core.ts';
import { placeOf, sceneOf, sizedModel } from './place.ts';
import type { Place, Scene } from './place.ts';
import { receptiveField } from './receptive-field.ts';
import type { Reach, ReceptiveField } from './receptive-field.ts';
import { isIndex } from './units.ts';
import type { UnitPicture, Visualisation } from './visualisation.ts';

export interface TopPatchesRequest {
  /** Path of a layer, as `listLayers` gives it. */
  readonly layer: string;
  /** Its channels, from 0. Default: the first 16 of them. */
  readonly channels?: readonly number[];
  /** Patches for each channel. Default 9. */
  readonly top?: number;
}

export interface TopPatchesOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each picture with those done and to do. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Channels that are looked at where none are named. */
const FIRST_CHANNELS = 16;
/** Longer side of a patch that is kept, in pixels. */
const PATCH_SIDE = 256;

/**
 * For each channel of a layer the pictures that excite it most, cut to what its strongest place sees (`receptiveField`); where a place
 * may see everything, the whole of what the model saw. One patch of a picture for each channel. Largest value and place are found in the
 * graph, so that of a layer two numbers for each channel come out. Behind a rectifier values are those before it, which do not
 * stop at a bound. After Zeiler & Fergus 2014, https://arxiv.org/abs/1311.2901, who show the nine strongest.
 * Cost: one forward pass, up to the layer, for each picture. Pictures that cannot be read are left out, and a warning says so.
 * Throws a UserError for a layer or channel there is not, and where no picture can be read.
 */
export async function topPatches(
  model: ExplainableModel,
  pictures: readonly ImageSource[],
  { layer, channels, top = 9 }: TopPatchesRequest,
  { signal, onProgress }: TopPatchesOptions = {},
): Promise<Visualisation> {
  const started = performance.now();
  if (!Number.isInteger(top) || top < 1) throw new UserError(`the number of patches is ${top}; give 1 or more`);
  if (pictures.length === 0) throw new UserError('there is no picture to look for patches in');
  const problems: UserError[] = [];
  let best: Best[] | undefined;
  let chosen: readonly number[] = [];
  let path = layer;
  let seenBy = 'all';
  for (const [at, source] of pictures.entries()) {
    signal?.throwIfAborted();
    const encoding = await read(model, source, problems);
    if (encoding !== undefined) {
      const view = viewOf(model, layer, encoding);
      chosen = chosenChannels(view.place, channels);
      path = view.place.path;
      seenBy = view.field === undefined ? 'all' : `${Math.ceil(view.field.x.size)}x${Math.ceil(view.field.y.size)}`;
      best ??= chosen.map(() => new Best(top));
      const peaks = await peaksOf(model, view, chosen, encoding.tensors, signal);
      for (const [unit, peak] of peaks.entries())
        if (best[unit]!.wants(peak.value)) best[unit]!.add(cut(encoding, view, peak));
    }
    onProgress?.(at + 1, pictures.length);
  }
  if (best === undefined) throw problems[0]!;
  const { provider, threads, versions } = model.host;
  const seen = pictures.length - problems.length;
  return {
    method: 'top-patches',
    options: { top, pictures: seen, receptive_field: seenBy },
    model: { path: model.host.path, sha256: model.host.sha256 },
    layer: path,
    units: chosen.map((channel, unit) => ({
      label: `${path}[${channel}]`,
      indices: [channel],
      pictures: best[unit]!.pictures,
    })),
    warnings: [
      ...(problems.length === 0
        ? []
        : [`${problems.length} pictures were left out, the first since ${problems[0]!.message}.`]),
      ...model.host.notes,
    ],
    runtime: { provider, threads, ms: performance.now() - started, passes: seen, versions },
  };
}

/** The strongest patches of a channel so far. */
class Best {
  readonly #top: number;
  pictures: UnitPicture[] = [];

  constructor(top: number) {
    this.#top = top;
  }

  /** NaN is wanted nowhere. */
  wants(value: number): boolean {
    return value > (this.pictures[this.#top - 1]?.value ?? -Infinity);
  }

  add(picture: UnitPicture): void {
    this.pictures = [...this.pictures, picture].sort((left, right) => right.value - left.value).slice(0, this.#top);
  }
}

async function read(
  model: ExplainableModel,
  image: ImageSource,
  problems: UserError[],
): Promise<ImageFileEncoding | undefined> {
  try {
    const encoded = await model.encode({ image });
    if (encoded.kind !== 'image') throw new UserError('patches are cut from pictures, but the model takes a text too');
    return encoded.encoding;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    problems.push(error);
    return undefined;
  }
}

/** A layer as it is for pictures of one size. */
interface View {
  readonly scene: Scene;
  readonly place: Place;
  readonly field: ReceptiveField | undefined;
}

/** Pictures of one size have it in common. */
const views = remembered<View>();

function viewOf(model: ExplainableModel, layer: string, { input, tensors }: ImageFileEncoding): View {
  const { dims } = tensors[input]!;
  return views(model.host.model, JSON.stringify([layer, dims]), () => {
    const scene = sceneOf(model, dims);
    const place = placeOf(model, { layer, channels: [] }, scene);
    const field = receptiveField(sizedModel(model.host.model, scene), scene.plan, place.value);
    return { scene, place, field: place.dims.length === 3 ? field : undefined };
  });
}

function chosenChannels({ path, dims, axis }: Place, channels: readonly number[] | undefined): readonly number[] {
  const count = dims[axis]!;
  if (channels === undefined) return Array.from({ length: Math.min(count, FIRST_CHANNELS) }, (_, at) => at);
  if (channels.length === 0) throw new UserError(`no channel of layer "${path}" is named: it has ${count}, from 0`);
  for (const channel of channels)
    if (!isIndex(channel, count))
      throw new UserError(`layer "${path}" has no channel ${channel}: it has ${count}, from 0`);
  return channels;
}

/** A channel's largest value, and which of the places it is at, row by row. */
interface Peak {
  readonly value: number;
  readonly at: number;
}

const PEAKS = 'onnxray/peaks';
const PLACES = 'onnxray/places';

async function peaksOf(
  { host }: ExplainableModel,
  { scene, place: { value, axis } }: View,
  channels: readonly number[],
  tensors: NamedTensors,
  signal: AbortSignal | undefined,
): Promise<readonly Peak[]> {
  const { input } = scene.plan;
  const request = { kind: 'peaks', value, axis, channels, input, dims: tensors[input]!.dims };
  const session = await host.program(request, (model) => compilePeaks(model, request));
  const results = await session.run(tensors, signal === undefined ? {} : { signal });
  const places = results[PLACES]!.data as BigInt64Array;
  return Array.from(results[PEAKS]!.data as Float32Array, (peak, at) => ({ value: peak, at: Number(places[at]) }));
}

/** The model up to a value [1, ...], of which some channels' largest elements and their places come out, [1, channels] each. */
function compilePeaks(
  given: Model,
  request: {
    readonly value: ValueName;
    readonly axis: number;
    readonly channels: readonly number[];
    readonly input: ValueName;
    readonly dims: readonly number[];
  },
): Model {
  const { value, channels, input, dims } = request;
  const model = normalizeModel(given, { dims: { [input]: dims } });
  const b = new GraphBuilder({ ...model, graph: { ...model.graph, outputs: [] } });
  const axis = request.axis + 1;
  const others = Array.from({ length: b.rank(value) }, (_, at) => at).filter((at) => at !== 0 && at !== axis);
  const some = b.gather(b.cast(value, 'float32'), b.int64s(channels), axis);
  const first = axis === 1 ? some : b.transpose(some, [0, axis, ...others]);
  const flat = b.reshapeTo(first, [1, channels.length, -1]);
  b.addOutput(b.max(flat, [2], false), PEAKS);
  b.addOutput(b.op('ArgMax', [flat], { axis: int(2), keepdims: int(0) }), PLACES);
  return pruneModel(b.build());
}

/** The patch of a picture that a place sees, as far as it lies in the picture. */
function cut(encoding: ImageFileEncoding, { scene, place, field }: View, { value, at }: Peak): UnitPicture {
  const { crop, preview, path } = encoding;
  const { canvas } = scene;
  const columns = place.dims[place.axis === 0 ? 2 : 1] ?? 1;
  const position = field === undefined ? [at] : [Math.floor(at / columns), at % columns];
  const seen = (reach: Reach, index: number, length: number): [number, number] => {
    const from = reach.start + index * reach.step;
    return [Math.max(0, Math.floor(from)), Math.min(length, Math.ceil(from + reach.size))];
  };
  const [top, bottom] = field === undefined ? [0, canvas.height] : seen(field.y, position[0]!, canvas.height);
  const [left, right] = field === undefined ? [0, canvas.width] : seen(field.x, position[1]!, canvas.width);
  const [perX, perY] = [crop.width / canvas.width, crop.height / canvas.height];
  const box = {
    x: crop.x + left * perX,
    y: crop.y + top * perY,
    width: (right - left) * perX,
    height: (bottom - top) * perY,
  };
  const pixels = cutPixels(preview, box, preview.width / encoding.width, preview.height / encoding.height);
  const { width, height, data } = pixels;
  return { width, height, data, value, source: { ...(path === undefined ? {} : { path }), position, box } };
}

/** The box of a picture that is drawn smaller or larger by these factors; of black beside it nothing. */
function cutPixels(picture: Pixels, box: Rectangle, perX: number, perY: number): Pixels {
  const [x0, y0] = [box.x * perX, box.y * perY].map((each) => Math.max(0, Math.floor(each + 1e-6))) as [number, number];
  const x1 = Math.min(picture.width, Math.ceil((box.x + box.width) * perX - 1e-6));
  const y1 = Math.min(picture.height, Math.ceil((box.y + box.height) * perY - 1e-6));
  // What lies in the black alone is one pixel of its border.
  const [left, top] = [Math.min(x0, picture.width - 1), Math.min(y0, picture.height - 1)];
  const [width, height] = [Math.max(1, x1 - left), Math.max(1, y1 - top)];
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * picture.width + left) * 3;
    data.set(picture.data.subarray(from, from + width * 3), y * width * 3);
  }
  const factor = Math.min(1, PATCH_SIDE / Math.max(width, height));
  const patch: Pixels = { width, height, channels: 3, data };
  const [small, low] = [width, height].map((side) => Math.max(1, Math.round(side * factor))) as [number, number];
  return factor === 1 ? patch : resample(patch, small, low, 'box');
}
