/** Determinants, and the einsums that onnxruntime knows but the gradient rule does not. */
import type { ValueName } from '../model.ts';
import { int, string, stringAttribute } from '../model.ts';
import type { GraphBuilder } from '../builder.ts';
import type { Decomposition } from './decomposition.ts';

/**
 * The product of the pivots of Gaussian elimination with row exchanges, one step per row. The choice of pivots is
 * piecewise constant, so its gradient is the determinant's wherever the matrix is regular.
 */
const det: Decomposition = (b, node) => {
  const x = node.inputs[0]!;
  const dims = b.dims(x);
  const size = dims?.at(-1);
  if (dims === undefined || typeof size !== 'number') return undefined;
  let rest = b.reshapeTo(x, [-1, size, size]);
  let product: ValueName | undefined;
  for (let left = size; left > 0; left--) {
    const column = b.slice(rest, b.int64s([0]), b.int64s([1]), [2]);
    const pivotRow = b.op('ArgMax', [b.abs(column)], { axis: int(1), keepdims: int(1) });
    const one = b.constant('int64', [], [1]);
    const isPivot = b.equal(b.unsqueeze(b.positions(rest, 1), [1]), pivotRow);
    const row = b.sum(b.where(isPivot, rest, b.scalar(0, rest)), [1]);
    const pivot = b.slice(row, b.int64s([0]), b.int64s([1]), [2]);
    const sign = b.where(b.less(pivotRow, one), b.scalar(1, x), b.scalar(-1, x));
    const factor = b.mul(pivot, sign);
    product = product === undefined ? factor : b.mul(product, factor);
    if (left === 1) break;
    // The first row takes the place of the pivot's; then both are done with.
    const first = b.slice(rest, b.int64s([0]), b.int64s([1]), [1]);
    const exchanged = b.where(isPivot, first, rest);
    const below = b.slice(exchanged, b.int64s([1]), b.int64s([left]), [1]);
    const head = b.slice(below, b.int64s([0]), b.int64s([1]), [2]);
    const tail = (value: ValueName) => b.slice(value, b.int64s([1]), b.int64s([left]), [2]);
    rest = b.sub(tail(below), b.mul(b.div(head, pivot), tail(row)));
  }
  const batch = dims.slice(0, -2);
  const shape =
    batch.length === 0
      ? b.constant('int64', [0], [])
      : b.slice(b.shape(x), b.int64s([0]), b.int64s([batch.length]), [0]);
  return [b.reshape(product!, shape, batch)];
};

/** Ellipses get letters of their own; a letter twice in one operand becomes a product with the identity. */
const einsum: Decomposition = (b, node) => {
  const equation = stringAttribute(node, 'equation', '').replaceAll(' ', '');
  const [left, right] = equation.split('->');
  let operands = left!.split(',');
  const repeated = (letters: string) => new Set(letters).size !== letters.length;
  if (!equation.includes('.') && !operands.some(repeated)) return undefined;
  const free = [...'zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA'].filter(
    (letter) => !equation.includes(letter),
  );
  const ranks = node.inputs.map((x, index) => b.rank(x) - operands[index]!.replace('...', '').length);
  const widest = Math.max(0, ...operands.map((letters, index) => (letters.includes('.') ? ranks[index]! : 0)));
  const ellipsis = free.splice(0, widest);
  operands = operands.map((letters, index) => letters.replace('...', ellipsis.slice(widest - ranks[index]!).join('')));
  const count = (letter: string) => operands.join('').split(letter).length - 1;
  const implicit = [...new Set(operands.join(''))].filter(
    (letter) => count(letter) === 1 && !ellipsis.includes(letter),
  );
  const output =
    right === undefined ? [...ellipsis, ...implicit.sort()].join('') : right.replace('...', ellipsis.join(''));
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
  return [b.op('Einsum', inputs, { equation: string(`${operands.join(',')}->${output}`) })];
};

/** The identity matrix as long as an axis. */
function identityLike(b: GraphBuilder, x: ValueName, axis: number): ValueName {
  const length = b.dimension(x, axis);
  const known = b.dims(x)?.[axis];
  const zero = { kind: 'tensor', value: b.weightOf(b.type(x), [1], [0]) } as const;
  const square = b.concat([length, length], 0);
  return b.op('EyeLike', [b.op('ConstantOfShape', [square], { value: zero }, { dims: [known, known] })]);
}

export const algebraFamily = { Det: det, Einsum: einsum } satisfies Readonly<Record<string, Decomposition>>;
