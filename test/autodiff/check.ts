/** Checks a case's gradients, first and second order, against differences of what onnxruntime computes. */
import { expect } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import type { DenseTensor, Model, NamedTensors } from '../../src/onnx/index.ts';
import { GraphBuilder, int, numbersToData, writeModel } from '../../src/onnx/index.ts';
import type { Session } from '../../src/runtime/index.ts';
import { openSession } from '../../src/runtime/index.ts';
import { chance, hash, numbersOf } from '../models.ts';
import type { Case, Precision, Shapes } from './case.ts';
import { SHAPES, caseFeeds, caseModel, variables } from './case.ts';

/** Operators without a float64 kernel in onnxruntime's CPU provider. */
export const WITHOUT_FLOAT64 = [
  'Mean',
  'Erf',
  'Tan',
  'Sinh',
  'Cosh',
  'Asin',
  'Acos',
  'Atan',
  'Asinh',
  'Acosh',
  'Atanh',
  'Celu',
  'Conv',
  'ConvTranspose',
  'AveragePool',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'InstanceNormalization',
  'LRN',
  'MeanVarianceNormalization',
  'OneHot',
  'Resize',
  'Hardmax',
  'NonZero',
] as const;
/** All that are checked in float32. Gelu's gradient needs Erf; Shrink's kernel reckons in float32. */
const FLOAT32: ReadonlySet<string> = new Set([...WITHOUT_FLOAT64, 'Gelu', 'Shrink']);

export const precisionOf = (c: Case): Precision => (FLOAT32.has(c.operator) || c.float32 ? 'float32' : 'float64');

/** Relative errors allowed, and steps: in float32 what differences can tell there. */
const BOUNDS = {
  float64: { relative: 1e-6, step: 1e-3, same: 1e-11 },
  float32: { relative: 1e-3, step: 0.03, same: 2e-5 },
} as const;
/** Of a linear operator differences are exact at any step; float32 then allows this much. */
const LINEAR_STEP = 0.5;
const LINEAR_FLOAT32 = 1e-4;
const DIRECTIONS = 2;

/** The names of what a doubly differentiated case computes. */
export interface TwiceDifferentiated {
  readonly model: Model;
  /** Gradient of sum(seed y) with respect to each variable. */
  readonly first: ReadonlyMap<string, string>;
  /** Gradient of the sum over variables of sum(v first) with respect to each variable and the seed. */
  readonly second: ReadonlyMap<string, string>;
}

export function differentiateTwice(c: Case, precision: Precision, shapes: Shapes): TwiceDifferentiated {
  const wrt = variables(c);
  const once = differentiate(caseModel(c, precision, shapes), { of: 'y', wrt, seed: { input: 'seed' } });
  const b = new GraphBuilder(once.model);
  const terms = wrt.map((name) => {
    const gradient = once.gradients.get(name)!;
    const v = b.addInput({ name: `v_${name}`, type: b.type(gradient), dims: b.dims(gradient) });
    return b.op('ReduceSum', [b.mul(gradient, v)], { keepdims: int(0) });
  });
  b.addOutput(
    terms.reduce((left, right) => b.add(left, right)),
    'projection',
  );
  const twice = differentiate(b.build(), { of: 'projection', wrt: [...wrt, 'seed'] });
  return { model: twice.model, first: once.gradients, second: twice.gradients };
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, at) => sum + value * b[at]!, 0);
const norm = (a: readonly number[]) => Math.sqrt(dot(a, a));

export const like = ({ type, dims }: DenseTensor, values: readonly number[]): DenseTensor => ({
  type,
  dims,
  data: numbersToData(type, values),
});

export async function checkCase(c: Case): Promise<void> {
  const precision = precisionOf(c);
  let reference: NamedTensors | undefined;
  let feeds: NamedTensors | undefined;
  for (const shapes of SHAPES) {
    if (shapes !== 'static' && c.staticOnly) continue;
    const program = differentiateTwice(c, precision, shapes);
    const session = await openSession(writeModel(program.model), { threads: 1 });
    try {
      feeds ??= await completeFeeds(c, precision, session);
      const results = await session.run(feeds);
      if (reference === undefined) {
        await compareToDifferences(c, program, session, feeds, results);
        reference = results;
      } else expectSame(reference, results, BOUNDS[precision].same, shapes);
    } finally {
      await session.release();
    }
  }
}

/** The case's inputs, a random seed in the shape of y, and random directions v. */
export async function completeFeeds(c: Case, precision: Precision, session: Session): Promise<NamedTensors> {
  const feeds: Record<string, DenseTensor> = { ...caseFeeds(c, precision) };
  const random = chance(hash(c.name));
  const fill = (model: DenseTensor) =>
    like(
      model,
      numbersOf(model).map(() => random()),
    );
  for (const name of variables(c)) feeds[`v_${name}`] = fill(feeds[name]!);
  const forward = await openSession(writeModel(caseModel(c, precision, 'static')), { threads: 1 });
  try {
    const { y } = await forward.run(caseFeeds(c, precision));
    if (session.inputNames.includes('seed')) feeds['seed'] = fill(y!);
  } finally {
    await forward.release();
  }
  return feeds;
}

async function compareToDifferences(
  c: Case,
  { first, second }: TwiceDifferentiated,
  session: Session,
  feeds: NamedTensors,
  results: NamedTensors,
): Promise<void> {
  const precision = precisionOf(c);
  const { step } = BOUNDS[precision];
  const h = c.linear ? LINEAR_STEP : step;
  const relative = c.linear && precision === 'float32' ? LINEAR_FLOAT32 : BOUNDS[precision].relative;
  const random = chance(hash(`directions of ${c.name}`));
  const seed = feeds['seed'] === undefined ? [] : numbersOf(feeds['seed']);
  const outputs = ['y', ...first.values()].filter((name) => session.outputNames.includes(name));
  /** sum(seed y), and sum(v first). */
  const losses = async (changed: NamedTensors): Promise<[number, number]> => {
    const run = await session.run({ ...feeds, ...changed }, { outputs });
    const weights = changed['seed'] === undefined ? seed : numbersOf(changed['seed']);
    const projection = Array.from(first, ([name, gradient]) =>
      dot(numbersOf(feeds[`v_${name}`]!), numbersOf(run[gradient]!)),
    );
    return [dot(weights, numbersOf(run['y']!)), projection.reduce((left, right) => left + right, 0)];
  };
  for (const [name, gradient] of second) {
    if (feeds[name] === undefined) continue;
    const at = numbersOf(feeds[name]);
    const firstGradient = name === 'seed' ? undefined : results[first.get(name)!]!;
    const secondGradient = results[gradient]!;
    if (firstGradient) expect(firstGradient.dims, `dims of the gradient of ${name}`).toEqual(feeds[name].dims);
    expect(secondGradient.dims, `dims of the second gradient of ${name}`).toEqual(feeds[name].dims);
    for (let count = 0; count < DIRECTIONS; count++) {
      const direction = at.map(() => random());
      const probe = (t: number) =>
        losses({
          [name]: like(
            feeds[name]!,
            at.map((value, index) => value + t * direction[index]!),
          ),
        });
      // Four points: the error is of order h^4.
      const [p1, m1, p2, m2] = [await probe(h), await probe(-h), await probe(2 * h), await probe(-2 * h)];
      const difference = (order: 0 | 1) => (8 * (p1[order] - m1[order]) - (p2[order] - m2[order])) / (12 * h);
      const compare = (tensor: DenseTensor, numeric: number, what: string) => {
        const values = numbersOf(tensor);
        const analytic = dot(values, direction);
        const scale = Math.max(Math.abs(numeric), Math.abs(analytic), 0.1 * norm(values) * norm(direction), 1e-2);
        expect(
          Math.abs(analytic - numeric) / scale,
          `${what} of ${name}: rule ${analytic}, differences ${numeric}`,
        ).toBeLessThanOrEqual(relative);
      };
      if (firstGradient) compare(firstGradient, difference(0), 'gradient');
      if (!c.firstOrder) compare(secondGradient, difference(1), 'second gradient');
    }
  }
}

function expectSame(expected: NamedTensors, actual: NamedTensors, bound: number, shapes: Shapes): void {
  for (const [name, tensor] of Object.entries(expected)) {
    const other = actual[name]!;
    expect(other.dims, `dims of ${name} with ${shapes} dims`).toEqual(tensor.dims);
    const [a, b] = [numbersOf(tensor), numbersOf(other)];
    const scale = Math.max(1, ...a.map(Math.abs));
    const worst = Math.max(0, ...a.map((value, at) => Math.abs(value - b[at]!) / scale));
    expect(worst, `${name} with ${shapes} dims against static ones`).toBeLessThanOrEqual(bound);
  }
}
