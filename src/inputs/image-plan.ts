/** What a preprocessor_config.json asks for, worked out for one model input: a plan that `preprocess` carries out. */
import { UserError } from '../onnx/index.ts';
import type { DataType, ValueInfo } from '../onnx/index.ts';
import { FILTERS } from './resample.ts';
import type { Filter } from './resample.ts';

export interface ImagePlan {
  /** The model input the pixels go to. */
  readonly input: string;
  readonly type: Extract<DataType, 'float32' | 'float16' | 'uint8'>;
  readonly layout: 'NCHW' | 'NHWC';
  readonly channels: 1 | 3;
  /** To this size; or the shorter side to this length, the other in proportion; or not at all. */
  readonly resize: { readonly height: number; readonly width: number } | { readonly shortestEdge: number } | undefined;
  readonly filter: Filter;
  /** The middle part that is kept; where the picture is smaller, black is put around. */
  readonly crop: { readonly height: number; readonly width: number } | undefined;
  /** How a half pixel at the left and top of the crop is rounded: transformers goes down, torchvision to even. */
  readonly cropRounding: 'down' | 'even';
  /** Per channel: model value = 8-bit value * scale + shift. */
  readonly scale: readonly number[];
  readonly shift: readonly number[];
  /** Channels are blue, green, red. */
  readonly bgr: boolean;
  /** Height and width the model insists on; undefined where it takes any. */
  readonly fixed: { readonly height: number | undefined; readonly width: number | undefined };
  readonly warnings: readonly string[];
}

const IMAGENET_MEAN = [0.485, 0.456, 0.406];
const IMAGENET_STD = [0.229, 0.224, 0.225];

/**
 * The plan for a model's picture input.
 * @param inputs what the model declares: one input of rank 4 and nothing else.
 * @param config parsed preprocessor_config.json of transformers (ViT, DeiT, ConvNeXT, EfficientNet, CLIP, BiT, ... styles)
 *   or a timm configuration (`pretrained_cfg`). Without it a model of fixed size gets the whole picture at that size,
 *   ImageNet mean and deviation, and a warning.
 * @throws UserError when the model takes no picture, or nothing says to which size to bring it.
 */
export function planImage(inputs: readonly ValueInfo[], config?: unknown): ImagePlan {
  const plan = planSteps(inputs, config);
  // A model of bytes normalises inside.
  return plan.type === 'uint8' ? { ...plan, scale: plan.scale.map(() => 1), shift: plan.shift.map(() => 0) } : plan;
}

function planSteps(inputs: readonly ValueInfo[], config: unknown): ImagePlan {
  const base = pictureInput(inputs);
  const { fixed, channels } = base;
  if (config === undefined) {
    if (fixed.height === undefined || fixed.width === undefined)
      throw new UserError(
        `the model takes pictures of any size and there is no preprocessor_config.json to say which: put one beside the model, or pass pixels with --inputs`,
      );
    return {
      ...base,
      ...normalization(1 / 255, 0, IMAGENET_MEAN, IMAGENET_STD, channels),
      resize: { height: fixed.height, width: fixed.width },
      filter: 'bilinear',
      crop: undefined,
      cropRounding: 'down',
      bgr: false,
      warnings: [
        `No preprocessor_config.json: the picture was resized to ${fixed.width}x${fixed.height} and normalised with ImageNet's mean and deviation, which may not be what the model was trained with.`,
      ],
    };
  }
  if (!isRecord(config)) throw new UserError('preprocessor_config.json is not an object');
  const timm = config['pretrained_cfg'] ?? config;
  if (isRecord(timm) && Array.isArray(timm['input_size'])) return { ...base, ...timmPlan(timm, channels) };
  return { ...base, ...transformersPlan(config, base) };
}

/** Whether a picture can be given to a model with these inputs: one of rank 4 with 1 or 3 channels. */
export function takesImage(inputs: readonly ValueInfo[]): boolean {
  return inputs.some((input) => layoutOf(input) !== undefined);
}

type Base = Pick<ImagePlan, 'input' | 'type' | 'layout' | 'channels' | 'fixed'>;
type Steps = Omit<ImagePlan, keyof Base>;

function pictureInput(inputs: readonly ValueInfo[]): Base {
  const names = inputs.map((input) => `"${input.name}"`).join(', ') || 'none';
  const input = inputs.find(({ name }) => name === 'pixel_values') ?? inputs.find((input) => layoutOf(input));
  const layout = input && layoutOf(input);
  if (!input || !layout)
    throw new UserError(`the model takes no picture: no input of rank 4 with 1 or 3 channels (its inputs: ${names})`);
  if (inputs.length > 1)
    throw new UserError(`the model needs more than a picture (its inputs: ${names}); use --inputs`);
  if (input.type !== 'float32' && input.type !== 'float16' && input.type !== 'uint8')
    throw new UserError(
      `input "${input.name}" takes ${input.type}; pictures can be given as float32, float16 or uint8`,
    );
  const [height, width] = layout.layout === 'NCHW' ? [2, 3] : [1, 2];
  const size = (axis: number): number | undefined => {
    const dim = input.dims?.[axis];
    return typeof dim === 'number' && dim > 0 ? dim : undefined;
  };
  return { input: input.name, type: input.type, ...layout, fixed: { height: size(height!), width: size(width!) } };
}

function layoutOf({ dims, type }: ValueInfo): Pick<Base, 'layout' | 'channels'> | undefined {
  if (dims?.length !== 4 || /int(?:16|32|64)|string|bool/.test(type)) return undefined;
  const [first, last] = [colours(dims[1]), colours(dims[3])];
  // [N, 3, H, W] unless only the last axis can be the colours.
  if (first === 3 || (first && last !== 3)) return { layout: 'NCHW', channels: first };
  if (last) return { layout: 'NHWC', channels: last };
  return typeof dims[1] === 'number' ? undefined : { layout: 'NCHW', channels: 3 };
}

function colours(dim: unknown): 1 | 3 | undefined {
  return dim === 3 || dim === 1 ? dim : undefined;
}

function transformersPlan(config: Readonly<Record<string, unknown>>, { channels }: Base): Steps {
  const kind = String(config['image_processor_type'] ?? config['feature_extractor_type'] ?? '');
  const on = (name: string, byDefault: boolean): boolean => (config[name] ?? byDefault) === true;
  const warnings: string[] = [];
  const square = kind === '' || /^(?:ViT|DeiT|Beit|EfficientNet|Swin)/i.test(kind);
  let resize: ImagePlan['resize'] = on('do_resize', true) ? sizeOf(config['size'] ?? 224, square, 'size') : undefined;
  let crop = on('do_center_crop', false) ? sizeOf(config['crop_size'] ?? 224, true, 'crop_size') : undefined;
  if (resize && 'shortestEdge' in resize) {
    const edge = resize.shortestEdge;
    const convNext = /^ConvNe?xt/i.test(kind);
    const keep = config['crop_pct'] ?? (convNext ? 224 / 256 : undefined);
    if (/^Levit/i.test(kind)) resize = { shortestEdge: Math.trunc((256 / 224) * edge) };
    else if (typeof keep === 'number' && edge >= 384 && convNext) resize = { height: edge, width: edge };
    else if (typeof keep === 'number') {
      resize = { shortestEdge: Math.trunc(edge / keep) };
      crop ??= { height: edge, width: edge };
    }
  }
  if (crop && 'shortestEdge' in crop) crop = { height: crop.shortestEdge, width: crop.shortestEdge };
  if (on('do_pad', false)) warnings.push('do_pad of preprocessor_config.json is left aside.');
  const filter = FILTERS[Number(config['resample'] ?? (kind.startsWith('CLIP') ? 3 : 2))];
  if (!filter)
    throw new UserError(`preprocessor_config.json: unknown "resample" ${JSON.stringify(config['resample'])}`);
  const rescale = on('do_rescale', true) ? Number(config['rescale_factor'] ?? 1 / 255) : 1;
  const normalize = on('do_normalize', config['image_mean'] !== undefined);
  const mean = normalize ? numbers(config['image_mean'] ?? IMAGENET_MEAN, 'image_mean') : [0];
  const std = normalize ? numbers(config['image_std'] ?? IMAGENET_STD, 'image_std') : [1];
  // EfficientNet's `include_top` divides by the deviation once more.
  const again = kind.startsWith('EfficientNet') && on('include_top', true) && normalize ? std : [1];
  const offset = on('rescale_offset', false) ? 1 : 0;
  const values = normalization(rescale, offset, mean, std, channels);
  return {
    resize,
    filter,
    crop,
    cropRounding: 'down',
    scale: values.scale.map((scale, c) => scale / (again[c] ?? again[0]!)),
    shift: values.shift.map((shift, c) => shift / (again[c] ?? again[0]!)),
    bgr: on('do_flip_channel_order', false),
    warnings,
  };
}

function timmPlan(config: Readonly<Record<string, unknown>>, channels: 1 | 3): Steps {
  const [height, width] = numbers(config['input_size'], 'input_size').slice(-2) as [number, number];
  const keep = Number(config['crop_pct'] ?? 0.875);
  const filter = FILTERS.find((name) => name === config['interpolation']) ?? 'bilinear';
  const squash = config['crop_mode'] === 'squash';
  const mean = numbers(config['mean'] ?? IMAGENET_MEAN, 'mean');
  const std = numbers(config['std'] ?? IMAGENET_STD, 'std');
  return {
    ...normalization(1 / 255, 0, mean, std, channels),
    resize:
      squash || height !== width
        ? { height: Math.floor(height / keep), width: Math.floor(width / keep) }
        : { shortestEdge: Math.floor(height / keep) },
    filter,
    crop: { height, width },
    cropRounding: 'even',
    bgr: false,
    warnings: [],
  };
}

function normalization(
  rescale: number,
  offset: number,
  mean: readonly number[],
  std: readonly number[],
  channels: number,
): Pick<ImagePlan, 'scale' | 'shift'> {
  const all = Array.from({ length: channels }, (_, c) => c);
  return {
    scale: all.map((c) => rescale / (std[c] ?? std[0]!)),
    shift: all.map((c) => (-offset - (mean[c] ?? mean[0]!)) / (std[c] ?? std[0]!)),
  };
}

function sizeOf(size: unknown, square: boolean, name: string): NonNullable<ImagePlan['resize']> {
  if (whole(size)) return square ? { height: size, width: size } : { shortestEdge: size };
  if (isRecord(size)) {
    const { height, width, shortest_edge: shortestEdge } = size;
    if (whole(height) && whole(width)) return { height, width };
    if (whole(shortestEdge)) return { shortestEdge };
  }
  throw new UserError(
    `preprocessor_config.json: "${name}" is ${JSON.stringify(size)}; expected a number, { height, width } or { shortest_edge }`,
  );
}

function whole(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

function numbers(value: unknown, name: string): number[] {
  const list = typeof value === 'number' ? [value] : value;
  if (Array.isArray(list) && list.length > 0 && list.every((item): item is number => typeof item === 'number'))
    return list;
  throw new UserError(`preprocessor_config.json: "${name}" must be a list of numbers`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
