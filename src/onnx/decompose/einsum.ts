/** Einsums: products of matrices where they are that, and else in the form that the gradient's rule knows. */
import type { ValueName } from '../model.ts';
import type { Dim } from '../tensor.ts';
import { string, stringAttribute } from '../model.ts';
import type { GraphBuilder } from '../builder.ts';
import type { Decomposition } from './decomposition.ts';

/**
 * An einsum of two values that is a matrix product becomes one, between transposes: whoever looks for products, such as those
 * of attention, then finds queries on the left and keys on the right, however the equation was written. Of all others, ellipses
 * get letters of their own, and a letter twice in one operand becomes a product with the identity, as the gradient's rule
 * wants them.
 */
export const einsum: Decomposition = (b, node) => {
  const equation = stringAttribute(node, 'equation', '').replaceAll(' ', '');
  const [left, right] = equation.split('->');
  let operands = left!.split(',');
  const count = (letter: string) => operands.join('').split(letter).length - 1;
  const once = (letters: string) => [...new Set(letters)].filter((letter) => count(letter) === 1).sort();
  if (!equation.includes('.') && !operands.some(repeated)) {
    const output = right ?? once(operands.join('')).join('');
    const narrow = withoutOnes(b, node.inputs, operands);
    const product = right === undefined ? undefined : asProduct(b, narrow.inputs, narrow.operands, output);
    if (product !== undefined) return [product];
    return narrow.operands === operands ? undefined : [einsumOf(b, narrow, output)];
  }
  const free = [...'zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA'].filter(
    (letter) => !equation.includes(letter),
  );
  const ranks = node.inputs.map((x, index) => b.rank(x) - operands[index]!.replace('...', '').length);
  const widest = Math.max(0, ...operands.map((letters, index) => (letters.includes('.') ? ranks[index]! : 0)));
  const ellipsis = free.splice(0, widest);
  operands = operands.map((letters, index) => letters.replace('...', ellipsis.slice(widest - ranks[index]!).join('')));
  const implicit = once(operands.join('')).filter((letter) => !ellipsis.includes(letter));
  const output = right === undefined ? [...ellipsis, ...implicit].join('') : right.replace('...', ellipsis.join(''));
  const inputs = [...node.inputs];
  operands.slice().forEach((letters, index) => {
    let seen = '';
    for (const letter of letters) {
      if (!seen.includes(letter)) {
        seen += letter;
        continue;
      }
      const other = free.shift()!;
      inputs.push(identityLike(b, inputs[index]!, seen.length));
      operands.push(letter + other);
      seen += other;
    }
    operands[index] = seen;
  });
  const narrow = withoutOnes(b, inputs, operands);
  return [asProduct(b, narrow.inputs, narrow.operands, output) ?? einsumOf(b, narrow, output)];
};

const repeated = (letters: string) => new Set(letters).size !== letters.length;

/** The values of an einsum and the letters of their axes. */
interface Operands {
  readonly inputs: readonly ValueName[];
  readonly operands: readonly string[];
}

const einsumOf = (b: GraphBuilder, { inputs, operands }: Operands, output: string): ValueName =>
  b.op('Einsum', inputs, { equation: string(`${operands.join(',')}->${output}`) });

/** An axis of length 1 that stands for more, as long as another operand's of that letter, says nothing: it goes. */
function withoutOnes(b: GraphBuilder, inputs: readonly ValueName[], operands: readonly string[]): Operands {
  const dimOf = (at: number, letter: string) => b.dims(inputs[at]!)?.[operands[at]!.indexOf(letter)];
  const isLonger = (letter: string) =>
    operands.some((letters, at) => letters.includes(letter) && dimOf(at, letter) !== 1);
  const ones = operands.map((letters, at) =>
    [...letters].flatMap((letter, axis) =>
      dimOf(at, letter) === 1 && isLonger(letter) && !repeated(letters) ? [axis] : [],
    ),
  );
  if (ones.every((axes) => axes.length === 0)) return { inputs, operands };
  return {
    inputs: inputs.map((x, at) => (ones[at]!.length === 0 ? x : b.squeeze(x, ones[at]!))),
    operands: operands.map((letters, at) => [...letters].filter((_, axis) => !ones[at]!.includes(axis)).join('')),
  };
}

/**
 * [batch, left, summed] x [batch, summed, right] to [batch, left, right], each any number of letters; undefined where an operand
 * has a letter of no such kind, or nothing is summed or left of one of them.
 */
function asProduct(
  b: GraphBuilder,
  inputs: readonly ValueName[],
  operands: readonly string[],
  output: string,
): ValueName | undefined {
  if (inputs.length !== 2 || new Set(output).size !== output.length) return undefined;
  const free = (own: string, other: string) =>
    [...output].filter((each) => own.includes(each) && !other.includes(each));
  // What comes first in the output is the left factor.
  const firstIs = (at: 0 | 1) => output.indexOf(free(operands[at]!, operands[1 - at]!)[0] ?? ' ');
  const order = firstIs(0) < firstIs(1) ? ([0, 1] as const) : ([1, 0] as const);
  const [own, other] = [operands[order[0]]!, operands[order[1]]!];
  const batch = [...output].filter((each) => own.includes(each) && other.includes(each));
  const summed = [...own].filter((each) => other.includes(each) && !output.includes(each));
  const [left, right] = [free(own, other), free(other, own)];
  if (left.length === 0 || right.length === 0 || summed.length === 0) return undefined;
  if (batch.length + left.length + summed.length !== own.length) return undefined;
  if (batch.length + right.length + summed.length !== other.length) return undefined;
  const lengths = new Map<string, { readonly value: ValueName; readonly axis: number }>();
  for (const at of order)
    for (const [axis, letter] of [...operands[at]!].entries()) {
      const [dim, known] = [b.dims(inputs[at]!)?.[axis], lengths.get(letter)];
      const before = known && b.dims(known.value)?.[known.axis];
      // A one that stands for more is not summed over as often as the other is long.
      if (typeof dim === 'number' && typeof before === 'number' && dim !== before) return undefined;
      if (known === undefined) lengths.set(letter, { value: inputs[at]!, axis });
    }
  const length = (letter: string) => b.dimension(lengths.get(letter)!.value, lengths.get(letter)!.axis);
  const dim = (letter: string): Dim => {
    const { value, axis } = lengths.get(letter)!;
    return b.dims(value)?.[axis];
  };
  /** Letters in this order, those of a group as one axis. */
  const arranged = (value: ValueName, letters: string, groups: readonly (readonly string[])[]) => {
    const turned = transposed(b, value, [...letters], groups.flat());
    if (groups.every((group) => group.length === 1)) return turned;
    const sizes = groups.map((group) => group.map(length).reduce((product, each) => b.mul(product, each)));
    const dims = groups.map((group) => group.map(dim).reduce(times));
    return b.reshape(turned, b.concat(sizes, 0), dims);
  };
  const apart = batch.map((letter) => [letter]);
  // With nothing in common but what is summed, the left factor's axes are rows of one matrix as they are.
  const rows = batch.length === 0 ? left.map((letter) => [letter]) : [left];
  const product = b.matmul(
    arranged(inputs[order[0]]!, own, [...apart, ...rows, summed]),
    arranged(inputs[order[1]]!, other, [...apart, summed, right]),
  );
  const letters = [...batch, ...left, ...right];
  const whole =
    rows.length === left.length && right.length === 1
      ? product
      : b.reshape(product, b.concat(letters.map(length), 0), letters.map(dim));
  return transposed(b, whole, letters, [...output]);
}

const times = (left: Dim, right: Dim): Dim =>
  typeof left === 'number' && typeof right === 'number' ? left * right : undefined;

function transposed(b: GraphBuilder, value: ValueName, from: readonly string[], to: readonly string[]): ValueName {
  const order = to.map((letter) => from.indexOf(letter));
  return order.every((axis, at) => axis === at) ? value : b.transpose(value, order);
}

/** The identity matrix as long as an axis. */
function identityLike(b: GraphBuilder, x: ValueName, axis: number): ValueName {
  const length = b.dimension(x, axis);
  const known = b.dims(x)?.[axis];
  const zero = { kind: 'tensor', value: b.weightOf(b.type(x), [1], [0]) } as const;
  const square = b.concat([length, length], 0);
  return b.op('EyeLike', [b.op('ConstantOfShape', [square], { value: zero }, { dims: [known, known] })]);
}
