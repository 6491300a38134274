/**
 * GELU as exporters spell it, x (1 + erf(x / sqrt 2)) / 2, differentiated as one function of x. onnxruntime fuses the five
 * operators of the forward pass when nothing else reads what is between, and x alone is kept; the rules of the five by
 * themselves read all of it, and take more passes over the elements.
 */
import { float } from '../../onnx/index.ts';
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';

export interface Gelu {
  readonly x: ValueName;
  /** Place of the factor that is x or x / 2; the other is 1 + erf(x / sqrt 2). */
  readonly at: 0 | 1;
}

const near = (value: number, other: number) => Math.abs(value - other) < 1e-6 * Math.abs(other);

/** The other operand of a commutative node where one is a constant of one element, near `value`. */
export function besides(
  b: GraphBuilder,
  node: Node | undefined,
  operator: string,
  value: number,
): ValueName | undefined {
  if (node?.operator !== operator || node.domain !== '') return undefined;
  const at = node.inputs.findIndex((name) => {
    const numbers = b.isConstant(name) ? b.numbers(name) : undefined;
    return numbers?.length === 1 && near(numbers[0]!, value);
  });
  // What is divided by a constant stands before it.
  return at < 0 || (operator === 'Div' && at === 0) ? undefined : node.inputs[1 - at];
}

/** Whether a product is the one of a GELU, and of what. */
export function geluOf(b: GraphBuilder, node: Node): Gelu | undefined {
  for (const at of [0, 1] as const) {
    const erf = b.producer(besides(b, b.producer(node.inputs[1 - at]!), 'Add', 1) ?? '');
    if (erf?.operator !== 'Erf') continue;
    const scaled = b.producer(erf.inputs[0]!);
    const x = besides(b, scaled, 'Div', Math.SQRT2) ?? besides(b, scaled, 'Mul', Math.SQRT1_2);
    const factor = node.inputs[at]!;
    const isX = factor === x || besides(b, b.producer(factor), 'Mul', 0.5) === x;
    if (x !== undefined && isX && b.type(x) === 'float32') return { x, at };
  }
  return undefined;
}

/**
 * dY times the derivative of both forms in the factor that is x or x / 2, 2 (Phi(x) + x phi(x)) with Phi(x) = (1 + erf(u)) / 2
 * and u = x / sqrt 2. A HardSigmoid, whose bounds Phi does not leave, takes half the time of an Add of a scalar.
 */
export function geluGradient(b: GraphBuilder, { x }: Gelu, dY: ValueName): ValueName {
  const u = b.mul(x, b.scalar(Math.SQRT1_2, x));
  const phi = b.op('HardSigmoid', [b.erf(u)], { alpha: float(0.5), beta: float(0.5) });
  return b.mul(b.add(erfDensity(b, u), phi), twice(b, dY));
}

/** u exp(-u^2) / sqrt pi, half of u times the derivative of erf(u). */
export function erfDensity(b: GraphBuilder, u: ValueName): ValueName {
  return b.mul(b.div(u, b.exp(b.square(u))), b.scalar(1 / Math.sqrt(Math.PI), u));
}

/** 2 dY: what was halved on the way here, or else a factor that onnxruntime takes into the product before. */
function twice(b: GraphBuilder, dY: ValueName): ValueName {
  return besides(b, b.producer(dY), 'Mul', 0.5) ?? b.mul(dY, b.scalar(2, dY));
}
