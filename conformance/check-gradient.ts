/** The second half of a case: its gradient, and the gradient of its gradient, against central differences. */
import { differentiate } from '../src/autodiff/index.ts';
import type { Differentiated } from '../src/autodiff/index.ts';
import type { DenseTensor, Model, NamedTensors, ValueName } from '../src/onnx/index.ts';
import {
  GraphBuilder,
  int,
  normalizeModel,
  numbersToData,
  sizeOf,
  tensorWeight,
  writeModel,
} from '../src/onnx/index.ts';
import type { Session } from '../src/runtime/index.ts';
import { openSession } from '../src/runtime/index.ts';
import { tensorToFloat64, toFloat64 } from './float64.ts';
import { chance, dot, norm, numbersOf } from './numbers.ts';
import type { CaseResult, Finding } from './result.ts';
import { failed, messageOf, skipped, verified } from './result.ts';

/** Steps of the differences and relative errors allowed; in float32 what differences can tell there. */
const PRECISIONS = {
  float64: { relative: 1e-6, rounding: 1e-15 },
  float32: { relative: 5e-3, rounding: 3e-7 },
} as const;
/**
 * Where differences are taken: how far from the test's own inputs, and with what step. The first is the inputs as they
 * are; the others are for inputs that stand on a kink, on a tie, or at the border of the domain.
 */
const POINTS = {
  float64: [
    { away: 0, step: 1e-4 },
    { away: 0.05, step: 1e-4 },
    { away: 0.2, step: 1e-4 },
    { away: 0.05, step: 1e-5 },
    { away: -0.05, step: 1e-5 },
    { away: 0.2, step: 1e-6 },
  ],
  float32: [
    { away: 0, step: 0.02 },
    { away: 0, step: 0.005 },
    { away: 0.05, step: 0.02 },
    { away: 0.2, step: 0.005 },
    { away: 0.2, step: 0.1 },
    { away: 0.2, step: 0.001 },
    { away: -0.05, step: 0.005 },
  ],
} as const;
type Precision = keyof typeof PRECISIONS;
const DIRECTIONS = 3;
/** Kernels for doubles that reckon in floats inside. */
const REDUCED_INSIDE = new Set(['Shrink', 'GroupNormalization', 'HardSigmoid', 'Tan', 'Selu', 'Hardmax']);
/** Larger inputs make differences slow and tell nothing more. */
const MAX_ELEMENTS = 200_000;

type Gradients = Pick<CaseResult, 'first' | 'second' | 'precision'>;

/** What is differentiated: a canonical model at its inputs. */
interface Subject {
  readonly name: string;
  readonly model: Model;
  readonly feeds: NamedTensors;
  readonly wrt: readonly ValueName[];
  readonly outputs: readonly ValueName[];
}

/** Checks the gradient of all float outputs taken together. */
export async function checkGradient(subject: Subject): Promise<Gradients> {
  const elements = subject.wrt.reduce((sum, input) => sum + sizeOf(subject.feeds[input]!.dims), 0);
  if (elements > MAX_ELEMENTS)
    return { first: skipped('too large for differences'), second: skipped('too large for differences') };
  const found = await inSomePrecision(subject);
  if (found.first.status === 'verified' && found.second.status === 'verified') return found;
  // Axes, sizes and the like are inputs in these tests, weights in models: with them known, rules have the shapes.
  const fixed = fixIntegers(subject);
  if (fixed === undefined) return found;
  const again = await inSomePrecision(fixed);
  const better = (before: Finding, after: Finding): Finding =>
    before.status !== 'verified' && after.status === 'verified'
      ? verified([after.note, 'integer inputs fixed'].filter(Boolean).join('; '))
      : before;
  return {
    first: better(found.first, again.first),
    second: better(found.second, again.second),
    precision: again.precision ?? found.precision!,
  };
}

/** The same with integer and flag inputs as weights of the model; undefined when there are none. */
function fixIntegers(subject: Subject): Subject | undefined {
  const { graph } = subject.model;
  const fixed = graph.inputs.filter(({ type }) => /^(u?int|bool)/.test(type)).map(({ name }) => name);
  if (fixed.length === 0) return undefined;
  const weights = fixed.map((name) => [name, tensorWeight(subject.feeds[name]!)] as const);
  const inputs = graph.inputs.filter(({ name }) => !fixed.includes(name));
  const initializers = new Map([...graph.initializers, ...weights]);
  return {
    ...subject,
    model: normalizeModel({ ...subject.model, graph: { ...graph, inputs, initializers } }),
    feeds: Object.fromEntries(Object.entries(subject.feeds).filter(([name]) => !fixed.includes(name))),
  };
}

async function inSomePrecision(subject: Subject): Promise<Gradients> {
  const single = subject.model.graph.nodes.some(({ operator }) => REDUCED_INSIDE.has(operator));
  const double = single ? 'not tried' : await attempt(subject, 'float64');
  if (typeof double !== 'string') return { ...double, precision: 'float64' };
  // onnxruntime lacks a kernel for doubles: try floats, and report what is wrong there.
  const finding = await attempt(subject, 'float32');
  if (typeof finding === 'string') return { first: failed(finding), second: failed(finding), precision: 'float32' };
  return { ...finding, precision: 'float32' };
}

/** A string says why the program could not be loaded or run at all. */
async function attempt(
  { name, model, feeds, wrt, outputs }: Subject,
  precision: Precision,
): Promise<Gradients | string> {
  const cast = precision === 'float64' ? toFloat64(model) : model;
  const given = Object.fromEntries(
    Object.entries(feeds).map(([input, tensor]) => [input, precision === 'float64' ? tensorToFloat64(tensor) : tensor]),
  );
  const random = chance(name);
  let once: Model;
  try {
    once = differentiateOnce(cast, wrt, outputs);
  } catch (error) {
    return { first: failed(messageOf(error)), second: failed(messageOf(error)) };
  }
  const complete = await withDirections(cast, once, given, wrt, outputs, random).catch(messageOf);
  if (typeof complete === 'string') return complete;
  let twice: Model | undefined;
  let second: Finding | undefined;
  try {
    twice = renameGradients(differentiate(once, { of: 'onnxray_projection', wrt }), 'h_');
  } catch (error) {
    second = failed(messageOf(error));
  }
  let session: Session | undefined;
  try {
    session = await openSession(writeModel(twice ?? once), { threads: 1 });
  } catch (error) {
    second = failed(messageOf(error));
    twice = undefined;
    try {
      session = await openSession(writeModel(once), { threads: 1 });
    } catch (again) {
      return messageOf(again);
    }
  }
  try {
    const orders = twice === undefined ? 1 : 2;
    const findings = await atSomePoint(session, complete, wrt, orders, precision, random);
    if (typeof findings === 'string') return findings;
    return { first: findings[0]!, second: second ?? findings[1]! };
  } finally {
    await session.release();
  }
}

/** The model with `loss` = sum(seed y) over all outputs, its gradients `g_INPUT`, and `projection` = sum(v g). */
function differentiateOnce(model: Model, wrt: readonly ValueName[], outputs: readonly ValueName[]): Model {
  const b = new GraphBuilder(model);
  b.setOutputs([]);
  const project = (value: ValueName, weights: string) => {
    const input = b.addInput({ name: weights, type: b.type(value), dims: b.dims(value) });
    return b.op('ReduceSum', [b.mul(value, input)], { keepdims: int(0) });
  };
  const total = (terms: readonly ValueName[], name: string) =>
    b.addOutput(
      terms.reduce((left, right) => b.add(left, right)),
      name,
    );
  for (const name of outputs) b.addOutput(b.op('Identity', [name]), `y_${name}`);
  total(
    outputs.map((name) => project(name, `seed_${name}`)),
    'onnxray_loss',
  );
  const once = differentiate(b.build(), { of: 'onnxray_loss', wrt });
  const p = new GraphBuilder(renameGradients(once, 'g_'));
  const terms = wrt.map((name) => {
    const v = p.addInput({ name: `v_${name}`, type: p.type(`g_${name}`), dims: p.dims(`g_${name}`) });
    return p.op('ReduceSum', [p.mul(`g_${name}`, v)], { keepdims: int(0) });
  });
  p.addOutput(
    terms.reduce((left, right) => p.add(left, right)),
    'onnxray_projection',
  );
  return p.build();
}

/** Gives the gradients short names of their own. */
function renameGradients({ model, gradients }: Differentiated, prefix: string): Model {
  const b = new GraphBuilder(model);
  const renamed = new Set(gradients.values());
  b.setOutputs(model.graph.outputs.filter(({ name }) => !renamed.has(name)));
  for (const [name, gradient] of gradients) b.addOutput(b.op('Identity', [gradient]), `${prefix}${name}`);
  return b.build();
}

const like = ({ type, dims }: DenseTensor, values: readonly number[]): DenseTensor => ({
  type,
  dims,
  data: numbersToData(type, values),
});

async function withDirections(
  model: Model,
  once: Model,
  feeds: NamedTensors,
  wrt: readonly ValueName[],
  outputs: readonly ValueName[],
  random: () => number,
): Promise<NamedTensors> {
  const fill = (tensor: DenseTensor) => like(tensor, Array.from({ length: sizeOf(tensor.dims) }, random));
  const session = await openSession(writeModel(model), { threads: 1 });
  try {
    const results = await session.run(feeds);
    const complete: Record<string, DenseTensor> = { ...feeds };
    for (const name of outputs) complete[`seed_${name}`] = fill(results[name]!);
    for (const name of wrt) complete[`v_${name}`] = fill(feeds[name]!);
    // Inputs nothing depends on are pruned away.
    const needed = new Set(once.graph.inputs.map(({ name }) => name));
    return Object.fromEntries(Object.entries(complete).filter(([name]) => needed.has(name)));
  } finally {
    await session.release();
  }
}

/** At the test's own inputs, or beside them where these stand on a kink or a tie. */
async function atSomePoint(
  session: Session,
  feeds: NamedTensors,
  wrt: readonly ValueName[],
  orders: 1 | 2,
  precision: Precision,
  random: () => number,
): Promise<Finding[] | string> {
  let best: Finding[] | undefined;
  for (const { away, step } of POINTS[precision]) {
    const beside = (value: number) => {
      if (!Number.isFinite(value)) return random();
      return away === 0 ? value : value * (1 - away) + away * random() * Math.max(0.2, 0.5 * Math.abs(value));
    };
    const jittered = Object.fromEntries(
      wrt.map((name) => [name, like(feeds[name]!, numbersOf(feeds[name]!).map(beside))]),
    );
    let findings: Finding[];
    try {
      findings = await compareAll(
        session,
        { ...feeds, ...jittered },
        wrt,
        orders,
        { step, ...PRECISIONS[precision] },
        random,
      );
    } catch (error) {
      if (best === undefined) return messageOf(error);
      continue;
    }
    const note = away === 0 ? undefined : 'beside the inputs of the test';
    const better = findings.map((finding, order): Finding => {
      const before = best?.[order];
      if (before?.status === 'verified') return before;
      return finding.status === 'verified' ? verified(note) : (before ?? finding);
    });
    best = better;
    if (better.every(({ status }) => status === 'verified')) break;
  }
  return best!;
}

async function compareAll(
  session: Session,
  feeds: NamedTensors,
  wrt: readonly ValueName[],
  orders: 1 | 2,
  { step, relative, rounding }: { readonly step: number; readonly relative: number; readonly rounding: number },
  random: () => number,
): Promise<Finding[]> {
  const here = await session.run(feeds);
  const findings: Finding[] = [verified(), verified()].slice(0, orders);
  for (let count = 0; count < DIRECTIONS; count++) {
    const directions = wrt.map((name) => numbersOf(feeds[name]!).map(random));
    const probe = async (t: number) => {
      const moved = wrt.map((name, at) => {
        const values = numbersOf(feeds[name]!).map((value, index) => value + t * directions[at]![index]!);
        return [name, like(feeds[name]!, values)] as const;
      });
      return session.run({ ...feeds, ...Object.fromEntries(moved) });
    };
    // Four points: the error is of order h^4. Seed and v do not move, so losses differ only through the inputs.
    const points = [await probe(step), await probe(-step), await probe(2 * step), await probe(-2 * step)];
    for (let order = 0; order < orders; order++) {
      const value = (run: NamedTensors) => numbersOf(run[order === 0 ? 'onnxray_loss' : 'onnxray_projection']!)[0]!;
      const [p1, m1, p2, m2] = points.map(value) as [number, number, number, number];
      const numeric = (8 * (p1 - m1) - (p2 - m2)) / (12 * step);
      const gradients = wrt.map((name) => numbersOf(here[`${order === 0 ? 'g' : 'h'}_${name}`]!));
      const analytic = gradients.reduce((sum, gradient, at) => sum + dot(gradient, directions[at]!), 0);
      const size = norm(gradients.flat()) * norm(directions.flat());
      // What rounding of the losses alone can do to the differences.
      const floor = (Math.max(...[p1, m1, p2, m2].map(Math.abs)) * rounding) / step;
      const scale = Math.max(Math.abs(numeric), Math.abs(analytic), 0.1 * size, 1e-3);
      // Rounding excuses no more than four times the bound: a point where it would says nothing and doesn't verify.
      const excused = Math.min(2 * floor, 4 * relative * scale);
      const error = Math.max(0, Math.abs(analytic - numeric) - excused) / scale;
      if (!(error <= relative) && findings[order]!.status === 'verified')
        findings[order] = failed(`gradient ${analytic}, differences ${numeric}`);
    }
  }
  return findings;
}
