/** The first half of a case: our reader, writer and canonical form give the same values under onnxruntime. */
import type { DenseTensor, Model, NamedTensors } from '../src/onnx/index.ts';
import { normalizeModel, readModel, writeModel } from '../src/onnx/index.ts';
import { openSession } from '../src/runtime/index.ts';
import type { CaseFiles } from './corpus.ts';
import type { CaseResult } from './result.ts';
import { failed, messageOf, skipped, verified } from './result.ts';
import { maxDifference, numbersOf } from './numbers.ts';

/** Relative differences allowed between a fused kernel and the operators it stands for. */
const BOUNDS: Readonly<Record<string, number>> = { float64: 1e-9, float32: 2e-5, float16: 4e-3, bfloat16: 3e-2 };
const RANDOM = /^(RandomNormal|RandomUniform|RandomNormalLike|RandomUniformLike|Bernoulli|Multinomial)$/;

/** Types that onnxruntime's JavaScript binding takes no tensors of. */
const UNFEEDABLE = /^(bfloat16|float8|float4|complex|string|u?int[24])/;

export interface Values extends Pick<CaseResult, 'roundTrip' | 'normalized'> {
  readonly model?: Model;
  readonly feeds?: NamedTensors;
  /** What the canonical model gives. */
  readonly results?: NamedTensors;
}

export async function checkValues(files: CaseFiles): Promise<Values> {
  let original: Model;
  try {
    original = readModel(files.bytes);
  } catch (error) {
    return { roundTrip: failed(messageOf(error)), normalized: skipped('not read') };
  }
  const { feeds, problem } = feedsOf(original, files);
  if (feeds === undefined) return { roundTrip: skipped(problem), normalized: skipped(problem) };
  const unfetchable = original.graph.outputs.find(({ type }) => UNFEEDABLE.test(type) && type !== 'string');
  if (unfetchable !== undefined) {
    const note = skipped(`onnxruntime's JavaScript binding gives no ${unfetchable.type} tensors`);
    return { roundTrip: note, normalized: note };
  }
  const random = original.graph.nodes.some(
    ({ operator, inputs }) => RANDOM.test(operator) || (operator === 'Dropout' && inputs[2] !== undefined),
  );
  const expected = namedOutputs(original, files);
  const run = (bytes: Uint8Array) => runOnce(bytes, feeds);
  const reference = await run(files.bytes).catch(messageOf);

  const roundTrip = async () => {
    const again = await run(writeModel(readModel(files.bytes))).catch(messageOf);
    if (typeof reference === 'string')
      return typeof again === 'string'
        ? skipped(`onnxruntime does not run it: ${reference}`)
        : failed('runs only rewritten');
    if (typeof again === 'string') return failed(again);
    return random ? skipped('random by design') : compare(reference, again, () => 0);
  };
  const outcome = { roundTrip: await roundTrip() };
  let model: Model;
  try {
    model = normalizeModel(original);
  } catch (error) {
    return { ...outcome, normalized: failed(messageOf(error)) };
  }
  const normal = await run(writeModel(model)).catch(messageOf);
  if (typeof normal === 'string') {
    const normalized =
      typeof reference === 'string' ? skipped(`onnxruntime does not run it: ${reference}`) : failed(normal);
    return { ...outcome, normalized };
  }
  if (random) return { ...outcome, normalized: skipped('random by design') };
  const truth = typeof reference === 'string' ? expected : reference;
  const normalized = compare(truth, normal, (type) =>
    // The tests' own values are sometimes given to four digits only.
    typeof reference === 'string' ? 1e-3 : (BOUNDS[type] ?? 0),
  );
  const note =
    typeof reference === 'string' ? 'against the values of the test: onnxruntime does not run it fused' : undefined;
  return {
    ...outcome,
    normalized: note !== undefined && normalized.status === 'verified' ? verified(note) : normalized,
    model,
    feeds,
    results: normal,
  };
}

function feedsOf(model: Model, files: CaseFiles): { feeds?: NamedTensors; problem: string } {
  const feeds: Record<string, DenseTensor> = {};
  for (const [index, info] of model.graph.inputs.entries()) {
    const tensor = files.inputs[index];
    if (tensor === undefined || model.graph.otherTypes.has(info.name))
      return { problem: 'an input is a sequence, an optional or absent: not a tensor' };
    if (UNFEEDABLE.test(tensor.type)) {
      if (tensor.type !== 'string')
        return { problem: `onnxruntime's JavaScript binding takes no ${tensor.type} tensors` };
    }
    feeds[info.name] = tensor;
  }
  return { feeds, problem: '' };
}

function namedOutputs(model: Model, files: CaseFiles): NamedTensors {
  return Object.fromEntries(
    model.graph.outputs.flatMap(({ name }, index) => {
      const tensor = files.outputs[index];
      return tensor === undefined ? [] : [[name, tensor] as const];
    }),
  );
}

async function runOnce(bytes: Uint8Array, feeds: NamedTensors): Promise<NamedTensors> {
  const session = await openSession(bytes, { threads: 1 });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

function compare(expected: NamedTensors, actual: NamedTensors, bound: (type: string) => number) {
  for (const [name, tensor] of Object.entries(expected)) {
    const other = actual[name];
    if (other === undefined) return failed(`output "${name}" is missing`);
    if (other.dims.join() !== tensor.dims.join())
      return failed(`output "${name}" has dims [${other.dims.join()}], not [${tensor.dims.join()}]`);
    if (tensor.type === 'string') {
      if (JSON.stringify(tensor.data) !== JSON.stringify(other.data)) return failed(`output "${name}" differs`);
      continue;
    }
    const difference = maxDifference(numbersOf(tensor), numbersOf(other));
    if (difference > bound(tensor.type)) return failed(`output "${name}" differs by ${difference.toExponential(1)}`);
  }
  return verified();
}
