/** Programs and tensors as JSON, between Node and a page or another process. */
import type { DataType, DenseTensor, NamedTensors } from '../../src/onnx/index.ts';
import { numbersToData } from '../../src/onnx/index.ts';
import type { Outcome, Program } from './cases.ts';

/** Numbers as text, so that int64 and what is not finite get through. */
export type WireTensor = readonly [type: DataType, dims: readonly number[], values: readonly string[]];
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
    Object.entries(tensors).map(([name, { type, dims, data }]) => [name, [type, dims, Array.from(data, String)]]),
  );
}

export function unpackTensors(tensors: WireTensors): Record<string, DenseTensor> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, [type, dims, values]]) => [
      name,
      { type, dims, data: type === 'string' ? values : numbersToData(type, values.map(Number)) },
    ]),
  );
}

export function packProgram({ name, model, feeds, weights }: Program): WireProgram {
  let binary = '';
  for (const byte of model) binary += String.fromCharCode(byte);
  return [name, btoa(binary), packTensors(feeds), weights ?? null];
}

export function unpackProgram([name, model, feeds, weights]: WireProgram): Program {
  const bytes = Uint8Array.from(atob(model), (letter) => letter.charCodeAt(0));
  return { name, model: bytes, feeds: unpackTensors(feeds), ...(weights === null ? {} : { weights }) };
}

export const packOutcome = (outcome: Outcome): WireOutcome =>
  typeof outcome === 'string' ? outcome : packTensors(outcome);
export const unpackOutcome = (outcome: WireOutcome): Outcome =>
  typeof outcome === 'string' ? outcome : unpackTensors(outcome);
