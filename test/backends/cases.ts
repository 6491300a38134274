/** The cases of the gradient rules as programs, with what onnxruntime's CPU provider makes of them. */
import { differentiate } from '../../src/autodiff/index.ts';
import type { Model, NamedTensors } from '../../src/onnx/index.ts';
import { lowerForWebGpu, writeModel } from '../../src/onnx/index.ts';
import { openSession } from '../../src/runtime/index.ts';
import type { Provider } from '../../src/runtime/index.ts';
import type { Case } from '../autodiff/case.ts';
import { caseModel, variables } from '../autodiff/case.ts';
import { CASES } from '../autodiff/cases/index.ts';
import { completeFeeds, differentiateTwice } from '../autodiff/check.ts';
import { numbersOf } from '../models.ts';

/** A program for one provider, with its inputs. */
export interface Program {
  readonly name: string;
  readonly model: Uint8Array;
  readonly feeds: NamedTensors;
  /** Where weights are that the program refers to: a folder beneath the repository's root, and files in it. */
  readonly weights?: { readonly folder: string; readonly files: readonly string[] };
}

/** What a provider made of a program: its outputs, or what went wrong. */
export type Outcome = NamedTensors | string;

/** Largest difference of any output element, relative to the largest of its tensor and 1. */
export const BOUND = 1e-4;

/**
 * What a provider cannot do in a model's own operators, where no other operators stand in. Sessions of a `ModelHost` move
 * to the CPU then, and say so; test/backends/native.test.ts holds them to it.
 */
export const EXCEPTIONS: readonly { readonly provider: Provider; readonly name: RegExp; readonly reason: string }[] = [
  {
    provider: 'webgpu',
    name: /^Cast to the other float/,
    reason: 'the build of onnxruntime-web with WebGPU has no float64: the model runs on WASM instead',
  },
];

export const ALL: readonly Case[] = Object.values(CASES).flat();

export const caseName = (c: Case): string => `${c.operator} ${c.name}`;

/** One case for each operator: the first that is no exception. */
export function onePerOperator(): Case[] {
  const seen = new Set<string>();
  const able = ALL.filter((c) => !EXCEPTIONS.some(({ name }) => name.test(caseName(c))));
  return able.filter(({ operator }) => !seen.has(operator) && seen.add(operator));
}

/** Float32 program of a case: its value with the first gradients, or the second ones too. */
export function caseProgram(c: Case, order: 1 | 2): Model {
  if (order === 2) return differentiateTwice(c, 'float32', 'static').model;
  const once = caseModel(c, 'float32', 'static');
  return differentiate(once, { of: 'y', wrt: variables(c), seed: { input: 'seed' } }).model;
}

/** The program as a provider gets it, with inputs and the CPU's answer. */
export async function prepareCase(
  c: Case,
  order: 1 | 2,
): Promise<{ readonly plain: Program; readonly webgpu: Program; readonly expected: NamedTensors }> {
  const program = caseProgram(c, order);
  const model = writeModel(program);
  const session = await openSession(model, { threads: 1 });
  try {
    const complete = await completeFeeds(c, 'float32', session);
    const feeds = Object.fromEntries(Object.entries(complete).filter(([name]) => session.inputNames.includes(name)));
    const expected = await session.run(feeds);
    const name = caseName(c);
    return {
      plain: { name, model, feeds },
      webgpu: { name, model: writeModel(lowerForWebGpu(program)), feeds },
      expected,
    };
  } finally {
    await session.release();
  }
}

/** The largest relative difference; infinite where shapes differ or a number is none. */
export function worstError(expected: NamedTensors, actual: NamedTensors): number {
  let worst = 0;
  for (const [name, tensor] of Object.entries(expected)) {
    const other = actual[name];
    if (other === undefined || other.dims.join() !== tensor.dims.join()) return Infinity;
    const [a, b] = [numbersOf(tensor), numbersOf(other)];
    const scale = a.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    a.forEach((value, at) => {
      const error = Object.is(value, b[at]) ? 0 : Math.abs(value - b[at]!) / scale;
      worst = Number.isNaN(error) ? Infinity : Math.max(worst, error);
    });
  }
  return worst;
}
