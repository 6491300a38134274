/** The answer that is asked about: which output, what of it, and whether a compiled program still gives it. */
import { UserError, isFloat } from '../onnx/index.ts';
import type { DataType, DenseTensor, Model, NamedTensors, ValueName } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import type { Reading } from './reading.ts';
import { readBeside } from './reading.ts';
import { numbers, sameNumbers } from './numbers.ts';

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

/** What the unmodified model answers, read as the program's answer is, and in what precision. */
export interface OriginalAnswer {
  readonly answer: DenseTensor;
  readonly type: DataType;
}

/**
 * What the unmodified model answers, loaded and given back for it: asked the first time a program is used, before the program
 * has run, so that the activations of only one of the two take memory.
 */
export async function originalAnswer(
  host: ModelHost,
  feeds: NamedTensors,
  output: string,
  reading?: Reading,
): Promise<OriginalAnswer> {
  const session = await host.openOriginal();
  try {
    const known = Object.fromEntries(Object.entries(feeds).filter(([name]) => session.inputNames.includes(name)));
    const answers = await session.run(known, { outputs: [output, ...readBeside(reading)] });
    const { type } = answers[output]!;
    return { type, answer: reading === undefined ? answers[output]! : readAnswer(answers, output, reading) };
  } finally {
    await session.release();
  }
}

/** Whether a program's answer is that of the unmodified model, within 1e-3 of its largest number (1e-2 in half precision). */
export function answersAlike(answer: DenseTensor, original: OriginalAnswer): boolean {
  const tolerance = original.type === 'float32' || original.type === 'float64' ? 1e-3 : 1e-2;
  return sameNumbers(numbers(answer), numbers(original.answer), tolerance);
}

/** What `appendReading` reads, from the model's own answers to one input. */
export function readAnswer(answers: NamedTensors, output: ValueName, reading: Reading): DenseTensor {
  const own = numbers(answers[output]!);
  const floats = (dims: readonly number[], data: Float32Array): DenseTensor => ({ type: 'float32', dims, data });
  if (reading.kind === 'diagonal') return floats([1, 1], Float32Array.of(own[0]!));
  if (reading.kind === 'cosine') {
    const other = numbers(answers[reading.with]!);
    let [product, left, right] = [0, 0, 0];
    for (let at = 0; at < own.length; at++) {
      product += own[at]! * other[at]!;
      left += own[at]! ** 2;
      right += other[at]! ** 2;
    }
    return floats([1, 1], Float32Array.of(((reading.scale ?? 1) * product) / Math.sqrt(left * right)));
  }
  const { prototypes, count, row, first, turned } = reading;
  const maps = answers[prototypes]!;
  const columns = answers[output]!.dims[2]!;
  const [height, width] = maps.dims.slice(2) as [number, number];
  const values = numbers(maps);
  const mask = new Float32Array(height * width);
  for (let each = 0; each < count; each++) {
    const weight = own[turned ? (first + each) * columns + row : row * columns + first + each]!;
    for (let at = 0; at < mask.length; at++) mask[at]! += weight * values[each * mask.length + at]!;
  }
  return floats([1, height, width], mask);
}
