/**
 * Relevance of attention probabilities as Chefer, Gur & Wolf 2021 (CVPR) propagate it, https://arxiv.org/abs/2012.09838: the
 * LRP rules with entries replaced where their paper differs.
 */
import { appendGradients, ruleTable } from '../autodiff/index.ts';
import type { GradientRequest, Pullback, Rule, RuleTable } from '../autodiff/index.ts';
import { intAttribute, isFloat } from '../onnx/index.ts';
import type { GraphBuilder, Node, ValueName } from '../onnx/index.ts';
import type { Tracer } from './trace.ts';

/** Relevance of each value in `wrt` for the weighted output, started at `seed`. */
export function attentionRelevance(
  b: GraphBuilder,
  tracer: Tracer,
  { of, wrt, seed }: Omit<GradientRequest, 'rules'>,
): ReadonlyMap<ValueName, ValueName> {
  // Relevance must come all the way down to each layer: what moves is whatever depends on an input.
  const inputs = tracer.model.graph.inputs.map(({ name }) => name);
  const base = ruleTable(
    { set: 'lrp', linear: { rule: 'z-plus' }, convolution: { rule: 'z-plus' }, epsilon: 1e-9 },
    { b, of, wrt: [...inputs, ...wrt], reference: (value) => value },
  );
  return appendGradients(b, { of, wrt, seed, rules: withPaper(base, tracer) });
}

/** Values that carry what the model reads: embeddings, float inputs and what projections make of them; masks do not. */
function carrying(tracer: Tracer): ReadonlySet<ValueName> {
  const values = new Set<ValueName>();
  for (const { name, type } of tracer.model.graph.inputs) if (isFloat(type) && !/mask/i.test(name)) values.add(name);
  for (const node of tracer.model.graph.nodes) {
    if (node.operator === 'Shape') continue;
    const first = node.inputs[0]!;
    const table = node.operator === 'Gather' && tracer.constants.has(first) && !tracer.constants.has(node.inputs[1]!);
    const embeds = table && isFloat(tracer.facts.get(first)?.type ?? 'int64');
    if (embeds || node.inputs.some((input) => values.has(input))) for (const output of node.outputs) values.add(output);
  }
  return values;
}

function withPaper(base: RuleTable, tracer: Tracer): RuleTable {
  const carries = carrying(tracer);
  const constant = (value: ValueName) => tracer.constants.has(value);
  const pass: Rule = (_b, node, [R]) =>
    node.inputs.map((_, index) => (index === 0 && R !== undefined ? () => R : undefined));
  const linear: Rule = (b, node, [R]) => {
    if (R === undefined) return node.inputs.map(() => undefined);
    const [x, w] = [node.inputs[0]!, node.inputs[1]!];
    if (constant(w)) return [() => throughLinear(b, node, R)];
    if (constant(x)) return [undefined, undefined];
    return halves(b, x, w, R, node.outputs[0]!);
  };
  const add: Rule = (b, node, [R]) => {
    const [x, y] = [node.inputs[0]!, node.inputs[1]!];
    if (R === undefined) return [undefined, undefined];
    // Biases and masks have no share.
    if (!carries.has(x)) return [undefined, () => R];
    if (!carries.has(y)) return [() => R, undefined];
    if (!spreads(b, x, y) && !spreads(b, y, x)) return throughSum(b, x, y, R);
    return spreads(b, x, y) ? [undefined, () => R] : [() => R, undefined];
  };
  return { ...base, LayerNormalization: pass, Softmax: pass, MatMul: linear, Gemm: linear, Add: add } as RuleTable;
}

/** x+ (S w+') + x- (S w-') with S = R / (x+ w+ + x- w-): positive contributions, without the bias. */
function throughLinear(b: GraphBuilder, node: Node, R: ValueName): ValueName {
  const [x, given] = [node.inputs[0]!, node.inputs[1]!];
  const w = node.operator === 'Gemm' && intAttribute(node, 'transB', 0) === 1 ? b.matrixTranspose(given) : given;
  const zero = b.scalar(0, x);
  const [px, nx, pw, nw] = [
    b.op('Max', [x, zero]),
    b.op('Min', [x, zero]),
    b.op('Max', [w, zero]),
    b.op('Min', [w, zero]),
  ];
  const s = share(b, R, b.add(b.matmul(px, pw), b.matmul(nx, nw)));
  return b.add(b.mul(px, b.matmul(s, b.matrixTranspose(pw))), b.mul(nx, b.matmul(s, b.matrixTranspose(nw))));
}

/** A product of two values: each gets half of what it contributed. */
function halves(b: GraphBuilder, x: ValueName, y: ValueName, R: ValueName, z: ValueName): Pullback[] {
  const s = b.mul(share(b, R, z), b.scalar(0.5, R));
  return [() => b.mul(x, b.matmul(s, b.matrixTranspose(y))), () => b.mul(y, b.matmul(b.matrixTranspose(x), s))];
}

/** A sum: in proportion, then each scaled so that both together keep the relevance, by the absolute values of their sums. */
function throughSum(b: GraphBuilder, x: ValueName, y: ValueName, R: ValueName): Pullback[] {
  const s = share(b, R, b.add(x, y));
  const axes = Array.from({ length: b.rank(R) }, (_, axis) => axis);
  const parts = [b.mul(x, s), b.mul(y, s)];
  const sums = parts.map((part) => b.sum(part, axes));
  const total = b.add(b.abs(sums[0]!), b.abs(sums[1]!));
  const whole = b.sum(R, axes);
  return parts.map(
    (part, at) => () => b.mul(part, share(b, b.mul(share(b, b.abs(sums[at]!), total), whole), sums[at]!)),
  );
}

/** R / z, and 0 where z is 0. */
function share(b: GraphBuilder, R: ValueName, z: ValueName): ValueName {
  const none = b.equal(z, b.scalar(0, z));
  return b.where(none, b.scalar(0, z), b.div(R, b.where(none, b.scalar(1, z), z)));
}

/** Whether `x` is broadcast to the size of `y`, as masks and position biases are. */
function spreads(b: GraphBuilder, x: ValueName, y: ValueName): boolean {
  const [left, right] = [b.dims(x) ?? [], b.dims(y) ?? []];
  if (left.length !== right.length) return left.length < right.length;
  return left.some((dim, axis) => dim === 1 && right[axis] !== 1);
}
