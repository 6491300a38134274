/** Fixtures of reference/attribution: small models, inputs, and what other libraries attribute. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { attribute } from '../../src/attribution/index.ts';
import type { AttributeRequest } from '../../src/attribution/index.ts';
import { METHODS } from '../../src/attribution/index.ts';
import { SURROGATES } from '../../src/surrogates/index.ts';
import type { Explanation } from '../../src/explanation/index.ts';
import { numbersToData, sizeOf } from '../../src/onnx/index.ts';
import type { DenseTensor } from '../../src/onnx/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';

const FOLDER = path.join(import.meta.dirname, 'fixtures');

export interface Case {
  readonly method: string;
  readonly options: Readonly<Record<string, string | number | boolean>>;
  readonly reference: string;
  readonly scores: Readonly<Record<string, { readonly dims: readonly number[]; readonly data: readonly number[] }>>;
  readonly baseline?: 'many';
  /** Why our scores are not the reference's. */
  readonly differs?: string;
  /** Then: by how much the reference's scores miss the change of the answer, as the reference itself says. */
  readonly gap?: number;
  readonly groups?: readonly number[];
  readonly layer?: string;
  readonly neuron?: readonly number[];
}

export interface Fixture {
  readonly name: string;
  readonly input: string;
  readonly dims: readonly number[];
  readonly type: 'float32' | 'float64' | 'int64';
  readonly data: readonly number[];
  readonly baseline: readonly number[];
  readonly baselines?: readonly number[];
  readonly answer: readonly number[];
  readonly target: number;
  readonly cases: readonly Case[];
}

export function fixtures(): Fixture[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .map((file): Fixture => {
      const document = JSON.parse(readFileSync(path.join(FOLDER, file), 'utf8')) as Omit<Fixture, 'name'>;
      return Object.assign(document, { name: path.basename(file, '.json') });
    });
}

export function openFixture({ name }: Pick<Fixture, 'name'>): Promise<ModelHost> {
  return ModelHost.open(path.join(FOLDER, `${name}.onnx`), { cache: false, threads: 1 });
}

const ALL = [...METHODS, ...SURROGATES];
export const hasMethod = (name: string): boolean => ALL.some((method) => method.name === name);

const methodNamed = (name: string) => ALL.find((method) => method.name === name)!;

/** Runs a case's method as the reference did. */
export async function attributeCase(
  host: ModelHost,
  fixture: Fixture,
  { method, options, baseline, groups, layer, neuron }: Case,
): Promise<Explanation> {
  const tensor = (values: readonly number[], rows = 1): DenseTensor => ({
    type: fixture.type,
    dims: [rows, ...fixture.dims.slice(1)],
    data: numbersToData(fixture.type, values),
  });
  const many = fixture.baselines ?? [];
  const request: AttributeRequest = {
    inputs: { [fixture.input]: tensor(fixture.data) },
    method: methodNamed(method),
    options,
    target: { label: String(fixture.target), indices: [fixture.target] },
    baseline: {
      [fixture.input]:
        baseline === 'many' ? tensor(many, many.length / sizeOf(fixture.dims)) : tensor(fixture.baseline),
    },
    ...(groups === undefined
      ? {}
      : { groups: { [fixture.input]: { type: 'int64', dims: fixture.dims, data: numbersToData('int64', groups) } } }),
    ...(layer === undefined ? {} : { layer }),
    ...(neuron === undefined ? {} : { neuron }),
  };
  return (await attribute(host, request)).explanation;
}

/** |ours - theirs| / |theirs|, Euclidean, over all inputs; 1 where the shapes differ. */
export function relativeError(explanation: Explanation, { scores }: Pick<Case, 'scores'>): number {
  let [difference, size] = [0, 0];
  for (const [input, { dims, data }] of Object.entries(scores)) {
    const ours = explanation.attributions[input];
    if (ours === undefined || ours.dims.join() !== dims.join()) return 1;
    data.forEach((value, index) => {
      difference += (ours.data[index]! - value) ** 2;
      size += value ** 2;
    });
  }
  return Math.sqrt(difference / Math.max(size, 1e-30));
}
