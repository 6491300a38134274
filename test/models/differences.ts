/**
 * Gradients of whole models in float32 against central differences along directions.
 *
 * In float32 a careless difference shows nothing but rounding, and in models of rectifiers and clips it never settles:
 * thousands of kinks lie within any step that is long enough to be seen. What is done about it:
 * - The target is sum(w y) over all elements of a value before the last sigmoid or softmax, which would flatten it;
 *   w is y at the input, scaled to length 1, so that the target is large wherever the model has something to say.
 *   The sum is made here, in float64: the rounding of thousands of elements averages out.
 * - Directions are half the gradient's own and half random: along a random one alone the derivative nearly vanishes
 *   (by 1/sqrt(n)) and drowns; along the gradient alone an error across it would not show.
 * - A central difference is, exactly, the mean of the derivative over its step: so it is compared with the mean of the
 *   gradient at points spread over that step, not with the gradient in its middle. Then neither curvature nor kinks are
 *   an error, and no extrapolation to a vanishing step is needed.
 * - Steps are as long as it takes for the difference to be 10,000 times the target's rounding, which is measured first.
 *   That step and one of twice the length must both agree; nothing is chosen after the fact.
 * - The gradient is taken along what the ends differ by after they were rounded to float32, so that rounding them is no
 *   error either.
 */
import { differentiate } from '../../src/autodiff/index.ts';
import type { DenseTensor, Model, NamedTensors, ValueInfo, ValueName } from '../../src/onnx/index.ts';
import { inferGraph, opsetOf, pruneModel, sizeOf, valuesRead, writeModel } from '../../src/onnx/index.ts';
import type { SessionOptions } from '../../src/runtime/index.ts';
import { openSession } from '../../src/runtime/index.ts';
import { chance, numbersOf } from '../models.ts';

export interface Comparison {
  readonly analytic: number;
  readonly numeric: number;
  /** |analytic - numeric| / |numeric| */
  readonly error: number;
}

export interface DifferenceCheck {
  /** A model in canonical form. */
  readonly model: Model;
  /** The value whose weighted sum is the target. */
  readonly of: ValueName;
  /** A float32 input of the model. */
  readonly wrt: ValueName;
  readonly feeds: NamedTensors;
  readonly directions?: number;
  readonly session?: SessionOptions;
}

/** A difference must be this many times its rounding: far more than the 1e-3 that is asked for. */
const SIGNAL = 10_000;
/** Points of a step at which the gradient is taken. */
const POINTS = 24;

export async function compareWithDifferences(check: DifferenceCheck): Promise<Comparison[]> {
  const { of, wrt, feeds, directions = 3, session = { threads: 1 } } = check;
  const forward = withOutput(check.model, of);
  const { model: backward, gradients } = differentiate(forward, { of, wrt: [wrt], seed: { input: SEED } });
  const at = numbersOf(feeds[wrt]!);
  const { dims } = feeds[wrt]!;
  const gradientName = gradients.get(wrt)!;
  const run = await openSession(writeModel(forward), session);
  const reverse = await openSession(writeModel(backward), session);
  try {
    const answer = (await run.run(feeds))[of]!;
    const length = norm(numbersOf(answer));
    const weights = Float32Array.from(numbersOf(answer), (value) => value / length);
    const seed: DenseTensor = { type: 'float32', dims: answer.dims, data: weights };
    const gradientOf = async (point: Float32Array) =>
      numbersOf((await reverse.run({ ...feeds, [SEED]: seed, [wrt]: tensor(dims, point) }))[gradientName]!);
    const target = async (point: Float32Array) =>
      dot((await run.run({ ...feeds, [wrt]: tensor(dims, point) }))[of]!.data as Float32Array, weights);
    const own = await gradientOf(Float32Array.from(at));
    const random = chance(at.length);
    const results: Comparison[] = [];
    for (let count = 0; count < directions; count++) {
      const other = unit(at.map(() => random()));
      const direction = unit(unit(own).map((value, index) => value + other[index]!));
      const scale = length / Math.abs(dot(own, direction));
      const on = (t: number) => Float32Array.from(at, (value, index) => value + t * direction[index]!);
      const step =
        (SIGNAL * (await roundingOf(async (t) => target(on(t * scale))))) / (2 * Math.abs(dot(own, direction)));
      for (const half of [step, 2 * step]) {
        const [right, left] = [on(half), on(-half)];
        const moved = Array.from(right, (value, index) => value - left[index]!);
        let analytic = 0;
        for (let point = 0; point < POINTS; point++)
          analytic += dot(await gradientOf(on(half * ((2 * point + 1) / POINTS - 1))), moved) / POINTS;
        const numeric = (await target(right)) - (await target(left));
        results.push({ analytic, numeric, error: Math.abs(analytic - numeric) / Math.abs(numeric) });
      }
    }
    return results;
  } finally {
    await run.release();
    await reverse.release();
  }
}

/** Standard deviation of a value's rounding, from second differences over points so close that all else is straight. */
async function roundingOf(target: (t: number) => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let index = 0; index < 18; index++) values.push(await target(index * 2e-6));
  const bends = values.slice(2).map((value, index) => value - 2 * values[index + 1]! + values[index]!);
  return norm(bends) / Math.sqrt(6 * bends.length);
}

const SEED = 'test/seed';
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += a[index]! * b[index]!;
  return sum;
};
const norm = (a: ArrayLike<number>) => Math.sqrt(dot(a, a));
const unit = (a: readonly number[]) => {
  const length = norm(a);
  return a.map((value) => value / length);
};
const tensor = (dims: readonly number[], data: Float32Array): DenseTensor => ({ type: 'float32', dims, data });

/** The model with this value as its only output. */
export function withOutput(model: Model, name: ValueName): Model {
  const facts = inferGraph(model.graph, opsetOf(model)).get(name);
  const output: ValueInfo = { name, type: facts?.type ?? 'float32', dims: facts?.dims };
  const pruned = pruneModel({ ...model, graph: { ...model.graph, outputs: [output] } });
  return onlyInputsRead(pruned);
}

/** The model with a value it computes as an input in its place: the embedding instead of the ids, for one. */
export function withInput(model: Model, name: ValueName): Model {
  const { graph } = model;
  const facts = inferGraph(graph, opsetOf(model)).get(name);
  const input: ValueInfo = { name, type: facts?.type ?? 'float32', dims: facts?.dims };
  const nodes = graph.nodes.filter(({ outputs }) => !outputs.includes(name));
  const pruned = pruneModel({ ...model, graph: { ...graph, nodes, inputs: [...graph.inputs, input] } });
  return onlyInputsRead(pruned);
}

function onlyInputsRead(model: Model): Model {
  const read = new Set(model.graph.nodes.flatMap(valuesRead));
  const inputs = model.graph.inputs.filter(({ name }) => read.has(name));
  return { ...model, graph: { ...model.graph, inputs } };
}

/** What goes into the last sigmoid or softmax, if that is what gives the output; else the output. */
export function beforeSquashing(model: Model): ValueName {
  const output = model.graph.outputs[0]!.name;
  const last = model.graph.nodes.find(({ outputs }) => outputs.includes(output));
  return last !== undefined && ['Sigmoid', 'Softmax', 'LogSoftmax'].includes(last.operator) ? last.inputs[0]! : output;
}

/** Largest difference of two models' outputs, relative to the largest value; outputs go by name. */
export async function outputDifference(
  file: Uint8Array,
  model: Model,
  feeds: NamedTensors,
  options: SessionOptions = { threads: 1 },
): Promise<number> {
  const run = async (bytes: Uint8Array): Promise<NamedTensors> => {
    const session = await openSession(bytes, options);
    try {
      return await session.run(feeds);
    } finally {
      await session.release();
    }
  };
  const [expected, actual] = [await run(file), await run(writeModel(model))];
  let worst = 0;
  for (const [name, { dims, data }] of Object.entries(expected)) {
    const other = actual[name]!;
    if (sizeOf(other.dims) !== sizeOf(dims)) return Infinity;
    const [left, right] = [data as ArrayLike<number>, other.data as ArrayLike<number>];
    let [largest, difference] = [1e-30, 0];
    for (let index = 0; index < left.length; index++) {
      largest = Math.max(largest, Math.abs(Number(left[index])));
      difference = Math.max(difference, Math.abs(Number(left[index]) - Number(right[index])));
    }
    worst = Math.max(worst, difference / largest);
  }
  return worst;
}
