/**
 * GELU between two products with weights, as in a transformer's layer: one pass over its elements serves both directions. Its
 * erf is of x / sqrt 2, so that is what the first product gives, as FusedMatMul, which scales for nothing, and the second one
 * makes up for it: with u = x / sqrt 2 and Phi = (1 + erf(u)) / 2 the GELU is sqrt 2 u Phi. Where the five operators are left to
 * onnxruntime it fuses them, and the backward pass has to scale x and take its erf once more (gelu.ts).
 */
import { GraphBuilder, float, floatAttribute, pruneModel } from '../../onnx/index.ts';
import type { Model, Node, ValueName } from '../../onnx/index.ts';
import { besides, erfDensity, geluOf } from './gelu.ts';
import { isFusable, product } from './products.ts';
import { readerCounts } from './scene.ts';

/** Of a product with a GELU, x = input up + bias, GELU(x) down. */
interface FeedForward {
  readonly input: ValueName;
  readonly up: ValueName;
  readonly bias: ValueName | undefined;
  readonly down: ValueName;
}

/** The product of something with a constant matrix. */
function weighted(b: GraphBuilder, node: Node | undefined): node is Node {
  if (node?.operator !== 'MatMul' || node.domain !== '') return false;
  const weight = node.inputs[1]!;
  return b.isConstant(weight) && b.dims(weight)?.length === 2 && isFusable(b, node);
}

/** What `node` is the last product of, where nobody else reads what is between. */
function feedForward(
  b: GraphBuilder,
  node: Node,
  readers: ReadonlyMap<ValueName, number>,
  moving: ReadonlySet<ValueName>,
): FeedForward | undefined {
  if (!weighted(b, node)) return undefined;
  const read = (value: ValueName | undefined, times = 1) => value !== undefined && readers.get(value) === times;
  const activated = node.inputs[0]!;
  const last = b.producer(activated);
  // Halved at the end, or x is at the beginning.
  const whole = besides(b, last, 'Mul', 0.5);
  const gate = whole === undefined ? last : b.producer(whole);
  const gelu = gate?.operator === 'Mul' ? geluOf(b, gate) : undefined;
  if (gate === undefined || gelu === undefined || !moving.has(gelu.x)) return undefined;
  const factor = gate.inputs[gelu.at]!;
  if ((whole === undefined) === (factor === gelu.x)) return undefined;
  const sum = gate.inputs[1 - gelu.at]!;
  const erf = b.producer(sum)!.inputs.find((name) => b.producer(name)?.operator === 'Erf')!;
  const between = [activated, ...(whole === undefined ? [factor] : [whole]), sum, erf, b.producer(erf)!.inputs[0]!];
  if (!between.every((value) => read(value)) || !read(gelu.x, 2)) return undefined;
  const made = b.producer(gelu.x);
  if (made?.operator !== 'Add') return weighted(b, made) ? partsOf(made, undefined, node) : undefined;
  const at = made.inputs.findIndex((name) => b.isConstant(name));
  const multiplied = made.inputs[1 - at];
  const first = at < 0 ? undefined : b.producer(multiplied!);
  return weighted(b, first) && read(multiplied) ? partsOf(first, made.inputs[at], node) : undefined;
}

const partsOf = (first: Node, bias: ValueName | undefined, last: Node): FeedForward => ({
  input: first.inputs[0]!,
  up: first.inputs[1]!,
  bias,
  down: last.inputs[1]!,
});

/**
 * The model with its feed-forward parts written that way where they lie between `wrt` and the answer; without a backward pass the
 * fused operator is faster. `kept` names values that must stay to be seen.
 */
export function scaleFeedForward(model: Model, kept: readonly ValueName[], wrt: readonly ValueName[]): Model {
  if (wrt.length === 0 || !model.graph.nodes.some(({ operator }) => operator === 'Erf')) return model;
  const readers = readerCounts(model, kept);
  const moving = new Set(wrt);
  const b = new GraphBuilder({ ...model, graph: { ...model.graph, nodes: [] } });
  b.reserve(model.graph.nodes);
  for (const node of model.graph.nodes) {
    if (node.inputs.some((name) => moving.has(name))) for (const name of node.outputs) moving.add(name);
    const parts = feedForward(b, node, readers, moving);
    b.push(parts === undefined ? node : b.within(`${node.outputs[0]!}/onnxray`, () => scaled(b, node, parts)));
  }
  return pruneModel(b.build());
}

function scaled(b: GraphBuilder, node: Node, { input, up, bias, down }: FeedForward): Node {
  b.importDomain('com.microsoft');
  const multiplied = product(b, input, up, { alpha: Math.SQRT1_2 });
  const u = bias === undefined ? multiplied : b.add(multiplied, b.mul(bias, b.scalar(Math.SQRT1_2, bias)));
  const phi = b.op('HardSigmoid', [b.erf(u)], { alpha: float(0.5), beta: float(0.5) });
  const attributes = { alpha: float(Math.SQRT2) };
  return { ...node, operator: 'FusedMatMul', domain: 'com.microsoft', inputs: [b.mul(u, phi), down], attributes };
}

/** Of a product u (1 + erf(u)) / 2 the place of u, where the other factor is written as above. */
export function gatedByErf(b: GraphBuilder, { inputs }: Node): 0 | 1 | undefined {
  for (const at of [0, 1] as const) {
    const phi = b.producer(inputs[1 - at]!);
    if (phi?.operator !== 'HardSigmoid' || floatAttribute(phi, 'alpha', 0.2) !== 0.5) continue;
    const erf = b.producer(phi.inputs[0]!);
    if (floatAttribute(phi, 'beta', 0.5) === 0.5 && erf?.operator === 'Erf' && erf.inputs[0] === inputs[at]) return at;
  }
  return undefined;
}

/** dY times the derivative of u Phi in u, Phi + u exp(-u^2) / sqrt pi. */
export function gatedByErfGradient(b: GraphBuilder, u: ValueName, phi: ValueName, dY: ValueName): ValueName {
  return b.mul(b.add(erfDensity(b, u), phi), dY);
}
