/** A target as numbers: the weight of each element of an output, and the value the weights pick out. */
import { UserError, fromBfloat16, fromFloat16, sizeOf } from '../onnx/index.ts';
import type { DenseTensor } from '../onnx/index.ts';
import type { Target, TargetTerm } from './target-type.ts';

/** The parts of a target: boxes of places with one weight each. */
export function termsOf({ indices, minus, terms }: Target): readonly TargetTerm[] {
  if (terms !== undefined) return terms;
  const place = (at: readonly number[]) => at.map((index) => [index, index + 1] as const);
  const first = { weight: 1, box: place(indices) };
  return minus === undefined ? [first] : [first, { weight: -1, box: place(minus) }];
}

/**
 * The weight of each element of an output [1, ...] in the target's value. Throws a UserError for a place that is not in
 * the output, weights that cancel everywhere, and, unless `scaled`, for a target of (log-)probabilities.
 */
export function targetWeights(
  target: Target,
  answer: Pick<DenseTensor, 'type' | 'dims'>,
  output: string,
  { scaled = false } = {},
): DenseTensor {
  if (target.scale !== undefined && !scaled)
    throw new UserError(`the target "${target.label}" is of probabilities, which only explanations by "explain" take`);
  const dims = answer.dims.slice(1);
  const data = answer.type === 'float64' ? new Float64Array(sizeOf(dims)) : new Float32Array(sizeOf(dims));
  for (const { weight, box } of termsOf(target)) {
    checkBox(target, box, dims, output);
    for (const at of flatPlaces(box, dims)) data[at]! += weight;
  }
  if (data.length > 0 && data.every((weight) => weight === 0))
    throw new UserError(`the target "${target.label}" is nothing: its parts take each other away`);
  return { type: answer.type, dims: [1, ...dims], data };
}

/** The target's value in one row of an output; `row` is the index into the batch axis, 0 by default. */
export function targetValue(target: Target, output: DenseTensor, row = 0): number {
  const dims = output.dims.slice(1);
  const start = row * sizeOf(dims);
  const at = valuesOn(target.scale, dims.at(-1) ?? 1, (index) => valueAt(output, start + index));
  let value = 0;
  for (const { weight, box } of termsOf(target)) for (const place of flatPlaces(box, dims)) value += weight * at(place);
  return value;
}

/** Values as they are, or as (log-)probabilities among `classes` neighbours. */
function valuesOn(scale: Target['scale'], classes: number, at: (index: number) => number): (index: number) => number {
  if (scale === undefined) return at;
  return (index) => {
    const first = index - (index % classes);
    let [most, sum] = [-Infinity, 0];
    for (let each = first; each < first + classes; each++) most = Math.max(most, at(each));
    for (let each = first; each < first + classes; each++) sum += Math.exp(at(each) - most);
    const logarithm = at(index) - most - Math.log(sum);
    return scale === 'log-probability' ? logarithm : Math.exp(logarithm);
  };
}

function checkBox({ label }: Target, box: TargetTerm['box'], dims: readonly number[], output: string): void {
  const inside =
    box.length === dims.length &&
    box.every(
      ([from, to], axis) =>
        Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from < to && to <= dims[axis]!,
    );
  if (inside) return;
  const places = box.map(([from, to]) => (to === from + 1 ? from : `${from}:${to}`)).join(',');
  throw new UserError(
    `target ${places || label} is not in output "${output}", which is ${dims.length === 0 ? 'a single number' : `[${dims.join(', ')}] after the batch axis`}`,
  );
}

function* flatPlaces(box: TargetTerm['box'], dims: readonly number[], axis = 0, start = 0): Generator<number> {
  if (axis === dims.length) {
    yield start;
    return;
  }
  const [from, to] = box[axis] ?? [0, 1];
  for (let index = from; index < to; index++) yield* flatPlaces(box, dims, axis + 1, start * dims[axis]! + index);
}

/** One element of a tensor as a number. */
export function valueAt({ type, data }: DenseTensor, index: number): number {
  if (type === 'float16') return fromFloat16(data[index] as number);
  if (type === 'bfloat16') return fromBfloat16(data[index] as number);
  return Number(data[index]);
}
