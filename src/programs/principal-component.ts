/** Principal components inside the graph: the dominant eigenvector of a symmetric matrix by repeated squaring. */
import type { GraphBuilder, ValueName } from '../onnx/index.ts';

/** 2^SQUARINGS steps of the power method: eigenvalues that differ by a thousandth are told apart. */
const SQUARINGS = 14;

/** Keeps what is zero from being divided by. */
const TINY = 1e-30;

/**
 * Each position of X [rows, channels, positions], centred, projected on its first principal direction: [rows, positions].
 * The sign, which a component does not have, makes its largest element positive.
 */
export function principalProjection(b: GraphBuilder, x: ValueName): ValueName {
  const [, channels, positions] = b.dims(x)! as readonly [unknown, number, number];
  const centred = b.sub(x, b.mean(x, [2]));
  const turned = b.transpose(centred, [0, 2, 1]);
  if (channels < positions) {
    const direction = dominant(b, b.matmul(centred, turned), channels);
    return fixSign(b, b.squeeze(b.matmul(turned, direction), [2]));
  }
  const gram = b.matmul(turned, centred);
  const vector = dominant(b, gram, positions);
  return fixSign(b, b.squeeze(b.mul(vector, b.sqrt(quotient(b, gram, vector))), [2]));
}

/**
 * The first component of kernel PCA of the positions of X [rows, channels, positions] with the sigmoid kernel
 * tanh(x . y / channels + 1): [rows, positions].
 */
export function kernelProjection(b: GraphBuilder, x: ValueName): ValueName {
  const [, channels, positions] = b.dims(x)! as readonly [unknown, number, number];
  const centred = b.sub(x, b.mean(x, [2]));
  const products = b.matmul(b.transpose(centred, [0, 2, 1]), centred);
  const kernel = b.tanh(b.add(b.mul(products, b.scalar(1 / channels, products)), b.scalar(1, products)));
  const double = b.add(b.sub(b.sub(kernel, b.mean(kernel, [1])), b.mean(kernel, [2])), b.mean(kernel, [1, 2]));
  // The kernel is not positive: moved up by its norm, the largest eigenvalue is also the one of largest size.
  const size = b.sqrt(b.sum(b.square(double), [1, 2]));
  const vector = dominant(b, b.add(double, b.mul(identity(b, positions, double), size)), positions);
  const value = b.op('Max', [quotient(b, double, vector), b.scalar(0, vector)]);
  return fixSign(b, b.squeeze(b.mul(vector, b.sqrt(value)), [2]));
}

/** The eigenvector of the largest eigenvalue of symmetric, positive matrices [rows, n, n]: [rows, n, 1], of length 1. */
function dominant(b: GraphBuilder, matrix: ValueName, size: number): ValueName {
  let power = matrix;
  for (let step = 0; step < SQUARINGS; step++) {
    const scaled = b.div(power, b.op('Max', [b.max(b.abs(power), [1, 2]), b.scalar(TINY, power)]));
    power = b.matmul(scaled, scaled);
  }
  // By now all columns are multiples of the eigenvector: the one with the largest diagonal is the longest. Ties are broken.
  const diagonal = b.sum(b.mul(power, identity(b, size, power)), [2]);
  const ramp = b.constant(
    b.type(power),
    [1, size, 1],
    Array.from({ length: size }, (_, at) => 1 + (1e-6 * at) / size),
  );
  const ranked = b.mul(diagonal, ramp);
  const chosen = b.cast(b.equal(ranked, b.max(ranked, [1])), b.type(power));
  let vector = unit(b, b.matmul(power, chosen));
  // What squaring lost of the digits, two steps with the matrix itself bring back.
  for (let step = 0; step < 2; step++) vector = unit(b, b.matmul(matrix, vector));
  return vector;
}

/** v' M v for unit vectors [rows, n, 1]: [rows, 1, 1]. */
function quotient(b: GraphBuilder, matrix: ValueName, vector: ValueName): ValueName {
  return b.sum(b.mul(vector, b.matmul(matrix, vector)), [1]);
}

function unit(b: GraphBuilder, vector: ValueName): ValueName {
  const largest = b.op('Max', [b.max(b.abs(vector), [1]), b.scalar(TINY, vector)]);
  const scaled = b.div(vector, largest);
  return b.div(scaled, b.op('Max', [b.sqrt(b.sum(b.square(scaled), [1])), b.scalar(TINY, vector)]));
}

function identity(b: GraphBuilder, size: number, like: ValueName): ValueName {
  const positions = b.int64s(Array.from({ length: size }, (_, at) => at));
  return b.cast(b.equal(b.unsqueeze(positions, [0]), b.unsqueeze(positions, [1])), b.type(like));
}

/** [rows, n] with the sign that makes the element of largest size positive. */
function fixSign(b: GraphBuilder, projection: ValueName): ValueName {
  const [most, least] = [b.max(projection, [1]), b.neg(b.max(b.neg(projection), [1]))];
  const negative = b.less(b.add(most, least), b.scalar(0, projection));
  return b.where(negative, b.neg(projection), projection);
}
