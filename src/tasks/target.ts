/** What about an output is to be explained: from what a person writes to indices, seeds and values. */
import { sizeOf, UserError } from '../onnx/index.ts';
import type { DenseTensor } from '../onnx/index.ts';
import { nearestNames } from './nearest.ts';
import type { Target } from './target-type.ts';
import { isExpression, parseExpression } from './target-expression.ts';
import { targetWeights, valueAt } from './target-weights.ts';

/**
 * The target a person means by `spec`, for row 0 of an output:
 * - a label, in any case as long as only one label matches; ImageNet's synonyms (`tabby, tabby cat`) count each;
 * - indices into the output after the batch axis: `3`, or `0,5` for an output of rank 3; negative ones count from the end;
 * - a difference `a-b` of two of these; a label that has a hyphen itself is tried whole first;
 * - a sum such as `2*spam - 0.5*ham`, `sum(0:5,2)`, `logprob(0,5) + logprob(1,7)`; see target-expression.ts;
 * - absent: the largest value of the row.
 * @param output the output's values, dims [batch, ...]. A label needs one axis of classes: the last, the others being 1.
 * @param labels the classes' names in order, where known.
 * @throws UserError for an unknown label (with the nearest ones), an index out of range, a wrong number of indices.
 */
export function parseTarget(spec: string | undefined, output: DenseTensor, labels?: readonly string[]): Target {
  const dims = rowDims(output.dims);
  if (spec === undefined || spec.trim() === '') {
    const index = argmax(output);
    const indices = unflatten(index, dims);
    return { label: labelOf(indices, dims, labels), indices };
  }
  const text = spec.trim();
  const whole = element(text, dims, labels);
  if (whole) return { label: labelOf(whole, dims, labels), indices: whole };
  if (isExpression(text)) {
    const { terms, scale } = parseExpression(text, dims, (part) => element(part, dims, labels));
    const target: Target = {
      label: text.replaceAll(/\s+/g, ' '),
      indices: terms[0]!.box.map(([from]) => from),
      terms,
      ...(scale === undefined ? {} : { scale }),
    };
    targetWeights(target, output, 'the output', { scaled: true });
    return target;
  }
  for (const match of text.matchAll(/-/g)) {
    const [left, right] = [text.slice(0, match.index).trim(), text.slice(match.index + 1).trim()];
    if (left === '' || right === '') continue;
    const [indices, minus] = [element(left, dims, labels), element(right, dims, labels)];
    if (indices && minus && indices.join() === minus.join())
      throw new UserError(`the target "${text}" is nothing: its parts take each other away`);
    if (indices && minus)
      return { label: `${labelOf(indices, dims, labels)} - ${labelOf(minus, dims, labels)}`, indices, minus };
  }
  throw unknown(text, labels);
}

/** One of a model's best answers. */
export interface Prediction {
  readonly label: string;
  readonly index: number;
  readonly value: number;
}

/**
 * The `count` largest classes of row 0, largest first; equal ones by index.
 * @param softmax whether to turn the row into probabilities first (for outputs that are logits).
 */
export function topPredictions(
  output: DenseTensor,
  labels: readonly string[] | undefined,
  count: number,
  softmax: boolean,
): Prediction[] {
  const dims = rowDims(output.dims);
  const row = Array.from({ length: sizeOf(dims) }, (_, index) => valueAt(output, index));
  const values = softmax ? softmaxOf(row) : row;
  return values
    .map((value, index) => ({ label: labelOf(unflatten(index, dims), dims, labels), index, value }))
    .sort((a, b) => b.value - a.value || a.index - b.index)
    .slice(0, count);
}

function softmaxOf(row: readonly number[]): number[] {
  let most = -Infinity;
  for (const value of row) most = Math.max(most, value);
  const powers = row.map((value) => Math.exp(value - most));
  let sum = 0;
  for (const power of powers) sum += power;
  return powers.map((power) => power / sum);
}

/** Dims after the batch axis; an output without axes is one row of one element. */
function rowDims(dims: readonly number[]): readonly number[] {
  return dims.slice(1);
}

/** Indices for what looks like indices or like a known label; undefined for anything else. */
function element(text: string, dims: readonly number[], labels: readonly string[] | undefined): number[] | undefined {
  const label = labels && findLabel(text, labels);
  if (label !== undefined) return labelIndices(label, dims, labels!);
  if (!/^-?\d+(?:\s*,\s*-?\d+)*$/.test(text)) return undefined;
  const indices = text.split(',').map(Number);
  if (indices.length !== dims.length) {
    const takes = dims.length === 1 ? '1 index' : `${dims.length} indices`;
    throw new UserError(
      `target "${text}" has ${indices.length} ${indices.length === 1 ? 'index' : 'indices'}, but the output takes ${takes} after the batch axis (dims ${dims.join(' x ') || 'none'})`,
    );
  }
  return indices.map((index, axis) => {
    const size = dims[axis]!;
    if (index >= -size && index < size) return index < 0 ? index + size : index;
    const where = dims.length === 1 ? 'the output' : `axis ${axis + 1} of the output`;
    throw new UserError(`target "${text}" is out of range: ${where} has indices 0 to ${size - 1}`);
  });
}

/** The index of the label a person means: exactly, in another case, or by one of its synonyms. */
function findLabel(text: string, labels: readonly string[]): number | undefined {
  const folded = fold(text);
  const accepted: readonly ((label: string) => boolean)[] = [
    (label) => label === text,
    (label) => fold(label) === folded,
    (label) => label.split(',').some((name) => fold(name) === folded),
  ];
  let found: number[] = [];
  for (const accept of accepted) {
    found = labels.flatMap((label, index) => (accept(label) ? [index] : []));
    if (found.length > 0) break;
  }
  if (found.length > 1) {
    const which = found.slice(0, 3).map((index) => `"${labels[index]}" (${index})`);
    throw new UserError(`label "${text}" could be ${which.join(' or ')}; give the index`);
  }
  return found[0];
}

function labelIndices(label: number, dims: readonly number[], labels: readonly string[]): number[] {
  const classes = dims.at(-1) ?? 1;
  if (dims.slice(0, -1).some((dim) => dim !== 1))
    throw new UserError(
      `label "${labels[label]}" is not enough: the output has dims ${dims.join(' x ')} after the batch axis; give indices`,
    );
  if (label >= classes)
    throw new UserError(`label "${labels[label]}" has index ${label}, but the output has only ${classes} values`);
  return dims.length === 0 ? [] : [...dims.slice(0, -1).map(() => 0), label];
}

function labelOf(indices: readonly number[], dims: readonly number[], labels: readonly string[] | undefined): string {
  const classes = dims.at(-1);
  const label = labels?.[indices.at(-1) ?? 0];
  const one = dims.slice(0, -1).every((dim) => dim === 1);
  return label !== undefined && one && labels!.length === classes ? label : indices.join(',') || '0';
}

function unknown(text: string, labels: readonly string[] | undefined): UserError {
  if (!labels || labels.length === 0)
    return new UserError(`unknown target "${text}": the model has no labels; give an index such as 3`);
  const near = nearestNames(fold(text), labels, (label) => label.split(',').map(fold)).map((label) => `"${label}"`);
  return new UserError(`unknown target "${text}"; nearest labels: ${near.join(', ')}`);
}

function fold(text: string): string {
  return text.trim().toLowerCase().replaceAll('_', ' ');
}

function argmax(output: DenseTensor): number {
  const size = sizeOf(rowDims(output.dims));
  let best = 0;
  for (let index = 1; index < size; index++) if (valueAt(output, index) > valueAt(output, best)) best = index;
  return best;
}

function unflatten(index: number, dims: readonly number[]): number[] {
  const indices: number[] = [];
  let rest = index;
  for (const dim of dims.toReversed()) {
    indices.unshift(rest % dim);
    rest = Math.floor(rest / dim);
  }
  return indices;
}
