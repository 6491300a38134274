/** How the answer changes while the pixels an explanation scores highest are taken away, or given. */
import { UserError, fromFloat16, toFloat16 } from '../onnx/index.ts';
import type { DenseTensor } from '../onnx/index.ts';
import { imageBaseline, planImage } from '../inputs/core.ts';
import type { ImageEncoding, ImageSource, Pixels } from '../inputs/core.ts';
import type { Session } from '../runtime/core.ts';
import type { Explanation, Scores } from '../explanation/index.ts';
import { targetValue } from '../tasks/core.ts';
import type { ExplainableModel } from '../attribution/core.ts';
import { numbers } from '../programs/index.ts';
import { planeScores } from './localisation.ts';

export interface PixelCurve {
  /** The answer at each share. */
  readonly values: readonly number[];
  /** Mean height over the shares (trapezoids): the less for a deletion, and the more for an insertion, the better the scores. */
  readonly area: number;
  /** What the model saw at each share, as pixels of its input. */
  readonly pictures: readonly Pixels[];
}

export interface PixelCurves {
  /** What the values are: the class's probability by softmax, or the explained value as the model gives it. */
  readonly unit: 'probability' | 'value';
  /** Shares of pixels that were replaced, highest scores first: 0, 1 / steps, ... 1. */
  readonly shares: readonly number[];
  /** From the picture to nothing (0 as the model sees it). */
  readonly deletion: PixelCurve;
  /** From the blurred picture to the picture. */
  readonly insertion: PixelCurve;
}

export interface PixelCurveOptions {
  /** Points of each curve after the first. Default 20. */
  readonly steps?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called after each run with those done and to do. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Deletion and insertion curves of an explanation of a picture: pixels are ranked by their scores (channels summed, a smaller map enlarged
 * bilinearly), and in that order replaced, for a deletion by 0 as the model sees it, or for an insertion by the picture where it was blurred.
 * Known flaw: pictures with holes are like none the model was trained on.
 * Petsiuk, Das & Saenko 2018, https://arxiv.org/abs/1806.07421. Cost: 2 (steps + 1) forward passes.
 * Throws a UserError where the explanation has no scores of a picture.
 */
export async function pixelCurves(
  model: ExplainableModel,
  image: ImageSource,
  explanation: Explanation,
  { steps = 20, signal, onProgress }: PixelCurveOptions = {},
): Promise<PixelCurves> {
  const encoded = await model.encode({ image });
  if (encoded.kind !== 'image' || explanation.image === undefined)
    throw new UserError('pixels are deleted and inserted for explanations of a picture');
  const { encoding } = encoded;
  const { bgr } = planImage(model.inputs, model.folder.preprocessor);
  const order = ranked(explanation, encoding);
  const picture = decoded(encoding.tensors[encoding.input]!);
  const unit = sharesOf(explanation) ? 'probability' : 'value';
  const shares = Array.from({ length: steps + 1 }, (_, step) => step / steps);
  const session = await model.host.openOriginal();
  let done = 0;
  const curve = async (from: Float32Array, to: Float32Array): Promise<PixelCurve> => {
    const [values, pictures]: [number[], Pixels[]] = [[], []];
    for (const share of shares) {
      signal?.throwIfAborted();
      const mixed = replaced(from, to, order, Math.round(share * order.length), encoding);
      values.push(await answerTo(session, encoding, mixed, explanation, unit));
      pictures.push(toPixels(mixed, encoding, bgr));
      onProgress?.(++done, 2 * shares.length);
    }
    const area = values.slice(1).reduce((sum, value, at) => sum + (value + values[at]!) / 2 / steps, 0);
    return { values, area, pictures };
  };
  try {
    const deletion = await curve(picture, new Float32Array(picture.length));
    const insertion = await curve(decoded(imageBaseline(encoding, 'blur')), picture);
    return { unit, shares, deletion, insertion };
  } finally {
    await session.release();
  }
}

/** As one JSON document, without the pictures. */
export function serializeCurves({ unit, shares, deletion, insertion }: PixelCurves): string {
  const plain = ({ values, area }: PixelCurve) => ({ values, area });
  return JSON.stringify({ unit, shares, deletion: plain(deletion), insertion: plain(insertion) });
}

/** Whether the best answers are shares that a softmax makes, of one class of which the target is. */
function sharesOf({ predictions, target }: Explanation): boolean {
  const plain = target.minus === undefined && target.terms === undefined && target.indices.length === 1;
  const sum = predictions?.reduce((total, { value }) => total + value, 0) ?? Infinity;
  return plain && sum <= 1.001 && predictions!.every(({ value }) => value >= 0 && value <= 1);
}

/** Pixels of the model's input, highest score first. */
function ranked({ attributions }: Explanation, { input, layout, channels, tensors }: ImageEncoding): Int32Array {
  const [height, width] = sizeOf(tensors[input]!, layout);
  const found = attributions[input] ?? Object.values(attributions)[0];
  if (found === undefined || found.dims.length < 3)
    throw new UserError('pixels are deleted by scores of pixels or of a map, which this explanation does not have');
  const last = layout === 'NHWC' && found.dims.length === 4 && found.dims[3] === channels;
  const scores = planeScores(last ? channelsFirst(found) : found, height, width);
  return Int32Array.from({ length: height * width }, (_, at) => at).sort(
    (left, right) => scores[right]! - scores[left]! || left - right,
  );
}

function channelsFirst({ dims, data }: Scores): Scores {
  const [rows, height, width, channels] = dims as [number, number, number, number];
  const size = height * width;
  const turned = Float64Array.from(
    { length: data.length },
    (_, at) => data[(at % size) * channels + Math.floor(at / size)]!,
  );
  return { dims: [rows, channels, height, width], data: turned };
}

function sizeOf({ dims }: DenseTensor, layout: ImageEncoding['layout']): readonly [number, number] {
  return (layout === 'NCHW' ? dims.slice(2) : dims.slice(1, 3)) as [number, number];
}

/** Which element of the input a pixel's channel is. */
const elementOf = (size: number, { layout, channels }: ImageEncoding, pixel: number, channel: number): number =>
  layout === 'NCHW' ? channel * size + pixel : pixel * channels + channel;

function replaced(
  from: Float32Array,
  to: Float32Array,
  order: Int32Array,
  count: number,
  encoding: ImageEncoding,
): Float32Array {
  const mixed = from.slice();
  for (let rank = 0; rank < count; rank++)
    for (let channel = 0; channel < encoding.channels; channel++) {
      const at = elementOf(order.length, encoding, order[rank]!, channel);
      mixed[at] = to[at]!;
    }
  return mixed;
}

async function answerTo(
  session: Session,
  { input, tensors }: ImageEncoding,
  values: Float32Array,
  { output, target }: Explanation,
  unit: PixelCurves['unit'],
): Promise<number> {
  const { type, dims } = tensors[input]!;
  const answer = (await session.run({ [input]: tensorOf(type, dims, values) }, { outputs: [output] }))[output]!;
  if (unit === 'value') return targetValue(target, answer);
  const row = Array.from(numbers(answer));
  const sum = row.reduce((total, each) => total + each, 0);
  // A model may make the shares itself.
  const made = row.every((each) => each >= 0 && each <= 1) && Math.abs(sum - 1) < 1e-3;
  return targetValue({ ...target, scale: made ? undefined : 'probability' }, answer);
}

function decoded({ type, data }: DenseTensor): Float32Array {
  if (type === 'float16') return Float32Array.from(data as Uint16Array, fromFloat16);
  return Float32Array.from(data as Float32Array | Uint8Array);
}

function tensorOf(type: DenseTensor['type'], dims: readonly number[], values: Float32Array): DenseTensor {
  if (type === 'float16') return { type, dims, data: Uint16Array.from(values, toFloat16) };
  if (type === 'uint8') return { type, dims, data: Uint8Array.from(Uint8ClampedArray.from(values)) };
  return { type, dims, data: values };
}

/** The model's input as 8-bit RGB. */
function toPixels(values: Float32Array, encoding: ImageEncoding, bgr: boolean): Pixels {
  const { input, tensors, layout, channels, scale, shift } = encoding;
  const [height, width] = sizeOf(tensors[input]!, layout);
  const data = new Uint8ClampedArray(height * width * 3);
  for (let pixel = 0; pixel < height * width; pixel++)
    for (let c = 0; c < 3; c++) {
      const channel = channels === 1 ? 0 : bgr ? 2 - c : c;
      const value = values[elementOf(height * width, encoding, pixel, channel)]!;
      data[pixel * 3 + c] = (value - shift[channel]!) / scale[channel]!;
    }
  return { width, height, channels: 3, data: new Uint8Array(data.buffer) };
}
