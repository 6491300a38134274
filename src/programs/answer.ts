/** The answer that is asked about: which output, what of it, and whether a compiled program still gives it. */
import { UserError, isFloat } from '../onnx/index.ts';
import type { DenseTensor, Model, NamedTensors, ValueName } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import type { PairForm } from './request.ts';
import { numbers, sameNumbers } from './runner.ts';

/** The output that is asked about: the one named, or the first of floats. Throws a UserError for one that cannot be explained. */
export function chooseOutput({ graph }: Model, name: string | undefined): string {
  const { outputs, otherTypes } = graph;
  const usable = outputs.filter((info) => isFloat(info.type) && !otherTypes.has(info.name));
  const names = usable.map((info) => `"${info.name}"`).join(', ');
  if (name === undefined) {
    if (usable.length === 0) throw new UserError('the model has no floating-point output to explain');
    return usable[0]!.name;
  }
  if (!outputs.some((info) => info.name === name))
    throw new UserError(`the model has no output "${name}"; it has ${names}`);
  if (!usable.some((info) => info.name === name))
    throw new UserError(
      `output "${name}" is not a floating-point tensor and cannot be explained; choose one of ${names}`,
    );
  return name;
}

/**
 * Whether a program's answer is that of the unmodified model, within 1e-3 of its largest number (1e-2 in half precision):
 * asked the first time a program is used.
 */
export async function answersLikeOriginal(
  host: ModelHost,
  feeds: NamedTensors,
  output: string,
  answer: DenseTensor,
  pairs?: PairForm,
): Promise<boolean> {
  const session = await host.openOriginal();
  try {
    const known = Object.fromEntries(Object.entries(feeds).filter(([name]) => session.inputNames.includes(name)));
    const outputs = pairs?.with === undefined ? [output] : [output, pairs.with];
    const answers = await session.run(known, { outputs });
    const { type } = answers[output]!;
    const original = pairs === undefined ? answers[output]! : similarityOf(answers, output, pairs);
    const tolerance = type === 'float32' || type === 'float64' ? 1e-3 : 1e-2;
    return sameNumbers(numbers(answer), numbers(original), tolerance);
  } finally {
    await session.release();
  }
}

/** The number that `comparePairs` gives for a pair, from the model's own answers. */
function similarityOf(answers: NamedTensors, output: ValueName, form: PairForm): DenseTensor {
  const left = answers[output]!;
  const one = (value: number): DenseTensor => ({ type: 'float32', dims: [1, 1], data: Float32Array.of(value) });
  if (form.with === undefined) return one(numbers(left)[0]!);
  const [x, y] = [numbers(left), numbers(answers[form.with]!)];
  let [product, own, other] = [0, 0, 0];
  for (let at = 0; at < x.length; at++) {
    product += x[at]! * y[at]!;
    own += x[at]! ** 2;
    other += y[at]! ** 2;
  }
  return one(product / Math.sqrt(own * other));
}
