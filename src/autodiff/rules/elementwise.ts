/** Arithmetic, element by element, with broadcasting. */
import type { GraphBuilder, ValueName } from '../../onnx/index.ts';
import { isFloat } from '../../onnx/index.ts';
import { unbroadcast } from '../broadcasting.ts';
import type { Pullback, Rule } from '../rule.ts';
import { rule, unary } from '../rule.ts';

/** A rule for f(a, b): each derivative is built from the node and dY, and summed back over broadcast axes. */
type Partial = (b: GraphBuilder, x: ValueName, y: ValueName, dZ: ValueName, z: ValueName) => ValueName;
function binary(first: Partial, second: Partial): Rule {
  return rule((b, node, dZ) => {
    const [x, y] = [node.inputs[0]!, node.inputs[1]!];
    const z = node.outputs[0]!;
    return [() => unbroadcast(b, first(b, x, y, dZ, z), x), () => unbroadcast(b, second(b, x, y, dZ, z), y)];
  });
}

// d(x + y) = dx + dy
const add = binary(
  (_, _x, _y, dZ) => dZ,
  (_, _x, _y, dZ) => dZ,
);
// d(x - y) = dx - dy
const sub = binary(
  (_, _x, _y, dZ) => dZ,
  (b, _x, _y, dZ) => b.neg(dZ),
);
// d(x y) = y dx + x dy
const mul = binary(
  (b, _x, y, dZ) => b.mul(dZ, y),
  (b, x, _y, dZ) => b.mul(dZ, x),
);
// d(x / y) = dx / y - (z / y) dy
const div = binary(
  (b, _x, y, dZ) => b.div(dZ, y),
  (b, _x, y, dZ, z) => b.neg(b.div(b.mul(dZ, z), y)),
);

/**
 * PyTorch masks what a clamp cut off. Rules for the CPU, and second derivatives, multiply by 0, which an infinity would make
 * no number, so behind a clamp a slope that is infinite at 0 counts as 0 there. `at` is the value that is 0 with x, `slope` what is built from it.
 */
function behindClamp(b: GraphBuilder, x: ValueName, at: ValueName, slope: (at: ValueName) => ValueName): ValueName {
  const operator = b.producer(x)?.operator;
  if (operator !== 'Relu' && operator !== 'Clip') return slope(at);
  const zero = b.equal(at, b.scalar(0, at));
  const safe = slope(b.where(zero, b.scalar(1, at), at));
  return b.where(zero, b.scalar(0, safe), safe);
}

/** d(x^p) = p x^(p-1) dx + x^p ln(x) dp; the second is taken as 0 where x <= 0. */
const pow = rule((b, node, dZ) => {
  const [x, p, z] = [node.inputs[0]!, node.inputs[1]!, node.outputs[0]!];
  // The exponent may be of another type than the base.
  const exponent = () => b.cast(p, b.type(x));
  const constant = b.numbers(p);
  const power = constant?.length === 1 ? constant[0] : undefined;
  return [
    () => {
      if (power === 2) return unbroadcast(b, b.mul(dZ, b.mul(b.scalar(2, x), x)), x);
      if (power === 1) return unbroadcast(b, dZ, x);
      // For p = 0 the factor 0 must win over x^-1 at x = 0.
      const lower =
        power === undefined
          ? b.where(b.equal(exponent(), b.scalar(0, x)), b.scalar(1, x), b.sub(exponent(), b.scalar(1, x)))
          : b.scalar(power === 0 ? 1 : power - 1, x);
      const slope = (at: ValueName) => b.mul(dZ, b.mul(exponent(), b.pow(at, lower)));
      return unbroadcast(b, power !== undefined && power < 1 ? behindClamp(b, x, x, slope) : slope(x), x);
    },
    () => {
      const positive = b.greater(x, b.scalar(0, x));
      const logarithm = b.log(b.where(positive, x, b.scalar(1, x)));
      return b.cast(unbroadcast(b, b.mul(dZ, b.mul(z, logarithm)), p), b.type(p));
    },
  ];
});

/** Min, Max of many: the gradient goes to where the extreme is; ties share it equally. */
const extreme = rule((b, node, dZ) => {
  const z = node.outputs[0]!;
  const hit = (x: ValueName) => b.equal(x, z);
  return node.inputs.map((x): Pullback => () => {
    if (node.inputs.length === 1) return dZ;
    const hits = node.inputs.map((each) => b.cast(hit(each), b.type(z))).reduce((left, right) => b.add(left, right));
    return unbroadcast(b, b.where(hit(x), b.div(dZ, hits), b.scalar(0, dZ)), x);
  });
});

const sum = rule((b, node, dZ) =>
  node.inputs.map(
    (x): Pullback =>
      () =>
        unbroadcast(b, dZ, x),
  ),
);

const mean = rule((b, node, dZ) =>
  node.inputs.map(
    (x): Pullback =>
      () =>
        unbroadcast(b, b.div(dZ, b.scalar(node.inputs.length, dZ)), x),
  ),
);

/** d where(c, x, y) = c dx + (1 - c) dy */
const where = rule((b, node, dZ) => {
  const [condition, x, y] = [node.inputs[0]!, node.inputs[1]!, node.inputs[2]!];
  const zero = () => b.scalar(0, dZ);
  return [
    undefined,
    () => unbroadcast(b, b.where(condition, dZ, zero()), x),
    () => unbroadcast(b, b.where(condition, zero(), dZ), y),
  ];
});

// fmod: d(x mod y) = dx - q dy with the whole quotient q = (x - z) / y
const mod = binary(
  (_, _x, _y, dZ) => dZ,
  (b, x, y, dZ, z) => b.neg(b.mul(dZ, b.div(b.sub(x, z), y))),
);

/**
 * A float to another float. From integers the gradient passes as it is: only the straight-through rules of
 * quantisation look further, and they reckon in floats.
 */
const cast = rule((b, node, dZ) => {
  const from = b.type(node.inputs[0]!);
  return [() => (isFloat(from) ? b.cast(dZ, from) : dZ)];
});

/** At inference dropout is the identity. Where it is told to train it is a mask, scaled by 1 / (1 - ratio). */
const dropout = rule((b, node, dZ) => {
  const [, ratio, training] = node.inputs;
  if (!training || b.numbers(training)?.[0] === 0) return [() => dZ];
  return [
    () => {
      const kept = b.sub(one(b, dZ), ratio ? b.cast(ratio, b.type(dZ)) : b.scalar(0.5, dZ));
      const scaled = b.div(dZ, b.where(training, kept, one(b, dZ)));
      return b.where(b.siblingOutput(node.outputs[0]!, 1), scaled, b.scalar(0, dZ));
    },
  ];
});

const one = (b: GraphBuilder, like: ValueName) => b.scalar(1, like);

export const elementwise = {
  Add: add,
  Sub: sub,
  Mul: mul,
  Div: div,
  Pow: pow,
  Max: extreme,
  Min: extreme,
  Sum: sum,
  Mean: mean,
  Where: where,
  Mod: mod,
  Cast: cast,
  CastLike: rule((b, node, dZ) => [() => b.cast(dZ, b.type(node.inputs[0]!)), undefined]),
  Identity: rule((_, _node, dZ) => [() => dZ]),
  Dropout: dropout,
  Neg: unary((b, _x, _y, dY) => b.neg(dY)),
  // |x|' = sign(x), 0 at 0
  Abs: unary((b, x, _y, dY) => b.mul(dY, b.sign(x))),
  Exp: unary((b, _x, y, dY) => b.mul(dY, y)),
  Log: unary((b, x, _y, dY) => behindClamp(b, x, x, (at) => b.div(dY, at))),
  // sqrt' = 1 / (2 y)
  Sqrt: unary((b, x, y, dY) => behindClamp(b, x, y, (at) => b.div(dY, b.mul(b.scalar(2, at), at)))),
  // (1/x)' = -y^2
  Reciprocal: unary((b, _x, y, dY) => b.neg(b.mul(dY, b.square(y)))),
  // erf' = 2/sqrt(pi) exp(-x^2)
  Erf: unary((b, x, _y, dY) => b.mul(dY, b.mul(b.scalar(2 / Math.sqrt(Math.PI), x), b.exp(b.neg(b.square(x)))))),
  Sin: unary((b, x, _y, dY) => b.mul(dY, b.cos(x))),
  Cos: unary((b, x, _y, dY) => b.neg(b.mul(dY, b.sin(x)))),
  // tan' = 1 + tan^2
  Tan: unary((b, _x, y, dY) => b.mul(dY, b.add(one(b, y), b.square(y)))),
  Sinh: unary((b, x, _y, dY) => b.mul(dY, b.cosh(x))),
  Cosh: unary((b, x, _y, dY) => b.mul(dY, b.sinh(x))),
  Asin: unary((b, x, _y, dY) => b.div(dY, b.sqrt(b.sub(one(b, x), b.square(x))))),
  Acos: unary((b, x, _y, dY) => b.neg(b.div(dY, b.sqrt(b.sub(one(b, x), b.square(x)))))),
  Atan: unary((b, x, _y, dY) => b.div(dY, b.add(one(b, x), b.square(x)))),
  Asinh: unary((b, x, _y, dY) => b.div(dY, b.sqrt(b.add(b.square(x), one(b, x))))),
  Acosh: unary((b, x, _y, dY) => b.div(dY, b.sqrt(b.sub(b.square(x), one(b, x))))),
  Atanh: unary((b, x, _y, dY) => b.div(dY, b.sub(one(b, x), b.square(x)))),
} satisfies Readonly<Record<string, Rule>>;
