/** Tensors to onnxruntime's own and back: the same for its libraries in Node and in browsers. */
import type { Tensor, TensorConstructor } from 'onnxruntime-common';
import { UserError } from '../onnx/index.ts';
import type { DataType, DenseTensor, TensorData } from '../onnx/index.ts';

/** `create`: the library's own Tensor class. */
export function toOrt({ type, dims, data }: DenseTensor, create: TensorConstructor): Tensor {
  if (type === 'bool') return new create('bool', data as Uint8Array, dims);
  return new create(type as Tensor.Type, data as Tensor.DataType, dims);
}

export function fromOrt(tensor: Tensor): DenseTensor {
  if (!('type' in tensor) || !('dims' in tensor)) throw new UserError('the model has an output that is not a tensor');
  return { type: tensor.type as DataType, dims: tensor.dims, data: halvesAsBits(tensor.data as TensorData) };
}

/** Where the platform has Float16Array onnxruntime uses it; half precision is bits in a Uint16Array with us. */
function halvesAsBits(data: TensorData): TensorData {
  if (!ArrayBuffer.isView(data) || data.constructor.name !== 'Float16Array') return data;
  return new Uint16Array(data.buffer, data.byteOffset, data.length);
}

/** onnxruntime's messages run over several lines and name places in its own sources; the first sentence is the useful one. */
export function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message
    .split('\n')[0]!
    .replace(/^\s*Error:\s*/, '')
    .replaceAll(/\S+\.(?:cc|h|cpp|cu):\d+ (?:[\w:~<>&*]+ )*(?:\[[^\]]*\] )?/g, '')
    .trim();
}
