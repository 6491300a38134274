/** The five kinds of models that bench:engine measures, and their inputs. */
import { sizeOf } from 'onnxray';
import type { DenseTensor, NamedTensors } from 'onnxray';
import type { Dims } from './program.ts';

const VOCABULARY = 8192;

export interface Kind {
  readonly title: string;
  readonly input: string;
  /** Dims of one row. */
  readonly row: readonly number[];
  /** Most that forward + backward may cost, in forwards. */
  readonly goal: number;
}
const text = { input: 'input_ids', row: [128], goal: 2.2 };
const image = { input: 'pixel_values', row: [3, 224, 224] };
export const KINDS: Readonly<Record<string, Kind>> = {
  encoder: { ...text, title: 'encoder, 6 layers of 768' },
  decoder: { ...text, title: 'decoder, 6 layers of 768' },
  'resnet-50': { ...image, goal: 2.6, title: 'ResNet-50' },
  'efficientnet-b0': { ...image, goal: 2.6, title: 'EfficientNet-B0' },
  'vit-s-16': { ...image, goal: 2.2, title: 'ViT-S/16' },
};

/** The same numbers as models.py gives PyTorch. */
export function inputsOf({ input, row }: Kind, batch: number): NamedTensors {
  const dims = [batch, ...row];
  const size = sizeOf(dims);
  const tensor: DenseTensor =
    row.length === 1
      ? { type: 'int64', dims, data: BigInt64Array.from({ length: size }, (_, at) => BigInt((at * 37) % VOCABULARY)) }
      : { type: 'float32', dims, data: Float32Array.from({ length: size }, (_, at) => Math.sin(at / 300)) };
  return { [input]: tensor };
}

export const dimsOf = ({ input, row }: Kind): Dims => ({ [input]: ['batch', ...row] });
