/** A picture's pixels to the model's tensor, and the pictures of nothing to compare it with. */
import { UserError } from '../onnx/index.ts';
import type { DenseTensor, NamedTensors } from '../onnx/index.ts';
import { fromFloat16, toFloat16 } from '../onnx/index.ts';
import type { ImagePlan } from './image-plan.ts';
import { seededRandom } from './random.ts';
import { resample } from './resample.ts';
import type { Pixels } from './resample.ts';

/** A rectangle in pixels; fractions where a pixel of the model covers part of one of the picture. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A picture as the model sees it. */
export interface ImageEncoding {
  readonly input: string;
  /** The one input, [1, C, H, W] or [1, H, W, C] as `layout` says, in the model's own type. */
  readonly tensors: NamedTensors;
  /** Size of the given picture, after EXIF rotation. */
  readonly width: number;
  readonly height: number;
  /** The part of the given picture (in its pixels) that the model sees; it may reach outside where black was added. */
  readonly crop: Rectangle;
  readonly layout: 'NCHW' | 'NHWC';
  readonly channels: 1 | 3;
  /** Per channel: model value = 8-bit value * scale + shift. */
  readonly scale: readonly number[];
  readonly shift: readonly number[];
  /** What a reader must know; one sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Resizes, crops and normalises as the plan says.
 * @param image 8-bit RGB.
 * @throws UserError when the result isn't of the size the model insists on.
 */
export function preprocess(image: Pixels, plan: ImagePlan): ImageEncoding {
  const [resizedWidth, resizedHeight] = resizedSize(image, plan);
  const resized = resample(image, resizedWidth, resizedHeight, plan.filter);
  const width = plan.crop?.width ?? resizedWidth;
  const height = plan.crop?.height ?? resizedHeight;
  const { fixed } = plan;
  if ((fixed.width ?? width) !== width || (fixed.height ?? height) !== height)
    throw new UserError(
      `the picture comes out at ${width}x${height} by preprocessor_config.json, but the model takes ${fixed.width ?? 'any'}x${fixed.height ?? 'any'}: the two don't belong together`,
    );
  const round = plan.cropRounding === 'even' ? halfToEven : Math.floor;
  const left = round((resizedWidth - width) / 2);
  const top = round((resizedHeight - height) / 2);
  const [perX, perY] = [image.width / resizedWidth, image.height / resizedHeight];
  const tensor = toTensor(resized, { left, top, width, height }, plan);
  return {
    input: plan.input,
    tensors: { [plan.input]: tensor },
    width: image.width,
    height: image.height,
    crop: { x: left * perX, y: top * perY, width: width * perX, height: height * perY },
    layout: plan.layout,
    channels: plan.channels,
    scale: plan.scale,
    shift: plan.shift,
    warnings: plan.warnings,
  };
}

function resizedSize({ width, height }: Pixels, { resize }: ImagePlan): [number, number] {
  if (!resize) return [width, height];
  if ('height' in resize) return [resize.width, resize.height];
  const edge = resize.shortestEdge;
  return width <= height
    ? [edge, Math.max(1, Math.trunc((edge * height) / width))]
    : [Math.max(1, Math.trunc((edge * width) / height)), edge];
}

function halfToEven(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

function toTensor(
  { width, height, channels: given, data }: Pixels,
  part: { readonly left: number; readonly top: number; readonly width: number; readonly height: number },
  { channels, layout, scale, shift, bgr, type }: ImagePlan,
): DenseTensor {
  const size = part.width * part.height;
  const values = new Float32Array(size * channels);
  for (let y = 0; y < part.height; y++)
    for (let x = 0; x < part.width; x++) {
      const [fromX, fromY] = [x + part.left, y + part.top];
      const inside = fromX >= 0 && fromX < width && fromY >= 0 && fromY < height;
      const from = (fromY * width + fromX) * given;
      for (let c = 0; c < channels; c++) {
        const value = !inside ? 0 : channels === 1 ? luminance(data, from) : data[from + (bgr ? 2 - c : c)]!;
        const place = y * part.width + x;
        values[layout === 'NCHW' ? c * size + place : place * channels + c] = value * scale[c]! + shift[c]!;
      }
    }
  const dims = layout === 'NCHW' ? [1, channels, part.height, part.width] : [1, part.height, part.width, channels];
  return encode(type, dims, values);
}

/** Pillow's grey of an RGB pixel (ITU-R 601-2). */
function luminance(data: Uint8Array, at: number): number {
  return (data[at]! * 19595 + data[at + 1]! * 38470 + data[at + 2]! * 7471 + 0x8000) >> 16;
}

export type ImageBaseline = 'zero' | 'black' | 'white' | 'mean' | 'blur' | 'noise' | number;

export interface ImageBaselineOptions {
  /** Of `noise`; default 0. */
  readonly seed?: number;
  /** Standard deviation of `blur` in the model's pixels; default 1/20 of the shorter side (11 at 224). */
  readonly sigma?: number;
}

/**
 * A picture that says nothing, shaped and normalised like the encoded one.
 * - `zero`: 0 as the model sees it, which is the mean colour of its training data where it normalises;
 * - `black`, `white`: those colours; `mean`: the picture's own mean colour;
 * - `blur`: the picture through a Gaussian; `noise`: uniform over the range of pixels; a number: that, as the model sees it.
 */
export function imageBaseline(
  encoding: ImageEncoding,
  kind: ImageBaseline,
  { seed = 0, sigma }: ImageBaselineOptions = {},
): DenseTensor {
  const { layout, channels, scale, shift } = encoding;
  const tensor = encoding.tensors[encoding.input]!;
  const values = decode(tensor);
  const size = values.length / channels;
  const place = (c: number, index: number): number => (layout === 'NCHW' ? c * size + index : index * channels + c);
  const fill = (value: (channel: number) => number): Float32Array => {
    const out = new Float32Array(values.length);
    for (let c = 0; c < channels; c++) {
      for (let index = 0; index < size; index++) out[place(c, index)] = value(c);
    }
    return out;
  };
  const make = (): Float32Array => {
    if (typeof kind === 'number') return fill(() => kind);
    switch (kind) {
      case 'zero':
        return fill(() => 0);
      case 'black':
        return fill((c) => shift[c]!);
      case 'white':
        return fill((c) => 255 * scale[c]! + shift[c]!);
      case 'noise': {
        const random = seededRandom(seed);
        return fill((c) => 255 * random() * scale[c]! + shift[c]!);
      }
      case 'mean': {
        const means = Array.from({ length: channels }, (_, c) => {
          let sum = 0;
          for (let index = 0; index < size; index++) sum += values[place(c, index)]!;
          return sum / size;
        });
        return fill((c) => means[c]!);
      }
      case 'blur': {
        const [height, width] = (layout === 'NCHW' ? tensor.dims.slice(2) : tensor.dims.slice(1, 3)) as [
          number,
          number,
        ];
        const deviation = sigma ?? Math.min(height, width) / 20;
        const out = new Float32Array(values.length);
        for (let c = 0; c < channels; c++) {
          const plane = Float64Array.from({ length: size }, (_, index) => values[place(c, index)]!);
          const across = blurLines(plane, height, width, width, 1, deviation);
          const blurred = blurLines(across, width, height, 1, width, deviation);
          for (let index = 0; index < size; index++) out[place(c, index)] = blurred[index]!;
        }
        return out;
      }
    }
  };
  return encode(tensor.type, tensor.dims, make());
}

/** A Gaussian along lines; weights beyond the edge are left out and the rest made to sum to 1. */
function blurLines(
  plane: Float64Array,
  lines: number,
  length: number,
  lineStep: number,
  step: number,
  sigma: number,
): Float64Array {
  if (sigma <= 0) return plane;
  const reach = Math.ceil(4 * sigma);
  const kernel = Float64Array.from({ length: reach + 1 }, (_, d) => Math.exp((-d * d) / (2 * sigma * sigma)));
  const out = new Float64Array(plane.length);
  for (let line = 0; line < lines; line++)
    for (let at = 0; at < length; at++) {
      let sum = 0;
      let total = 0;
      for (let other = Math.max(0, at - reach); other <= Math.min(length - 1, at + reach); other++) {
        const weight = kernel[Math.abs(other - at)]!;
        sum += weight * plane[line * lineStep + other * step]!;
        total += weight;
      }
      out[line * lineStep + at * step] = sum / total;
    }
  return out;
}

function encode(type: DenseTensor['type'], dims: readonly number[], values: Float32Array): DenseTensor {
  if (type === 'float16') return { type, dims, data: Uint16Array.from(values, toFloat16) };
  if (type === 'uint8') return { type, dims, data: Uint8Array.from(Uint8ClampedArray.from(values)) };
  return { type, dims, data: values };
}

function decode({ type, data }: DenseTensor): Float32Array {
  if (type === 'float16') return Float32Array.from(data as Uint16Array, fromFloat16);
  return Float32Array.from(data as Float32Array | Uint8Array);
}
