/** Programs and tensors as JSON, between Node and a page or another process. */
import type { DataType, DenseTensor, NamedTensors, TensorData } from '../../src/onnx/index.ts';
import { numbersToData } from '../../src/onnx/index.ts';
import type { Outcome, Program } from './cases.ts';

/** Numbers as their bytes in base64, whatever they are; strings as they are. */
export type WireTensor = readonly [type: DataType, dims: readonly number[], data: string | readonly string[]];
export type WireTensors = Readonly<Record<string, WireTensor>>;
export type WireProgram = readonly [
  name: string,
  model: string,
  feeds: WireTensors,
  weights: Program['weights'] | null,
];
export type WireOutcome = WireTensors | string;

export function packTensors(tensors: NamedTensors): WireTensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { type, dims, data }]) => [
      name,
      [type, dims, ArrayBuffer.isView(data) ? toBase64(bytesOf(data)) : data],
    ]),
  );
}

export function unpackTensors(tensors: WireTensors): Record<string, DenseTensor> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, [type, dims, data]]) => [
      name,
      { type, dims, data: typeof data === 'string' ? numbersFrom(type, fromBase64(data)) : data },
    ]),
  );
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => new Uint8Array(buffer, byteOffset, byteLength);

/** Bytes as an array of the kind that holds a type's numbers. */
function numbersFrom(type: DataType, { buffer }: Uint8Array<ArrayBuffer>): TensorData {
  const { constructor } = numbersToData(type, []) as { constructor: Function };
  return Reflect.construct(constructor, [buffer]) as TensorData;
}

/** In parts: a call takes so many arguments. */
function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(binary);
}

const fromBase64 = (text: string) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

export function packProgram({ name, model, feeds, weights }: Program): WireProgram {
  return [name, toBase64(model), packTensors(feeds), weights ?? null];
}

export function unpackProgram([name, model, feeds, weights]: WireProgram): Program {
  const program = { name, model: fromBase64(model), feeds: unpackTensors(feeds) };
  return weights === null ? program : { ...program, weights };
}

export const packOutcome = (outcome: Outcome): WireOutcome =>
  typeof outcome === 'string' ? outcome : packTensors(outcome);
export const unpackOutcome = (outcome: WireOutcome): Outcome =>
  typeof outcome === 'string' ? outcome : unpackTensors(outcome);
