/** The fixtures of test/attention: tiny transformers, and what the framework and plain reference code say of them. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { DenseTensor, NamedTensors } from '../../src/onnx/index.ts';
import { numbersToData } from '../../src/onnx/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';

export interface Dense {
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

export interface Reference {
  readonly heads: number;
  readonly kvHeads: number;
  readonly inputs: Readonly<Record<string, { type: 'int64' | 'float32'; dims: number[]; data: number[] }>>;
  readonly logits: Dense;
  readonly blocks: readonly (Dense & { readonly kind: string; readonly layer: number })[];
  readonly analyses?: { readonly target: string; readonly values: Readonly<Record<string, Dense | readonly Dense[]>> };
}

export const FOLDER = path.join(import.meta.dirname, 'fixtures');
export const EXPORTS = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.onnx'))
  .map((file) => file.slice(0, -'.onnx'.length));

export function reference(name: string): Reference {
  const architecture = name.replace(/-(eager|sdpa)$/, '');
  return JSON.parse(readFileSync(path.join(FOLDER, `${architecture}.json`), 'utf8')) as Reference;
}

export const openFixture = (name: string): Promise<ModelHost> =>
  ModelHost.open(path.join(FOLDER, `${name}.onnx`), { cache: false, threads: 1 });

/** The fixture's inputs that a model declares; with `rows`, only the first rows of them. */
export function inputsOf({ inputs }: Reference, host: ModelHost, rows?: number): NamedTensors {
  return Object.fromEntries(
    host.model.graph.inputs.map(({ name }): [string, DenseTensor] => {
      const { type, dims, data } = inputs[name]!;
      const count = rows ?? dims[0]!;
      const size = data.length / dims[0]!;
      return [name, { type, dims: [count, ...dims.slice(1)], data: numbersToData(type, data.slice(0, count * size)) }];
    }),
  );
}

/** The largest difference between two lists of numbers; NaN when their lengths differ. */
export function difference(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  if (ours.length !== theirs.length) return Number.NaN;
  let most = 0;
  for (let index = 0; index < theirs.length; index++) {
    const apart = Math.abs(ours[index]! - theirs[index]!);
    if (!(apart <= most)) most = apart;
  }
  return most;
}
