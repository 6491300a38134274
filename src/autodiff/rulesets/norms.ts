/** Normalisations as rule sets see them: y = scale (x - mean(x)) r + bias with a deviation 1 / r. */
import { floatAttribute, intAttribute } from '../../onnx/index.ts';
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';

export interface Norm {
  /** What is normalised over. */
  readonly axes: readonly number[];
  /** Whether the mean is subtracted. */
  readonly centred: boolean;
  /** Per element of x, to be broadcast. */
  readonly scale: ValueName;
  readonly epsilon: number;
}

export function readNorm(b: GraphBuilder, node: Node): Norm {
  const x = node.inputs[0]!;
  const scale = node.inputs[1]!;
  const epsilon = floatAttribute(node, 'epsilon', 1e-5);
  const rank = b.rank(x);
  if (node.operator === 'InstanceNormalization') {
    const axes = Array.from({ length: rank - 2 }, (_, index) => index + 2);
    return {
      axes,
      centred: true,
      scale: b.unsqueeze(
        scale,
        axes.map((axis) => axis - 1),
      ),
      epsilon,
    };
  }
  const first = b.axis(x, intAttribute(node, 'axis', -1));
  const axes = Array.from({ length: rank - first }, (_, index) => first + index);
  return { axes, centred: node.operator === 'LayerNormalization', scale, epsilon };
}

/** x - mean(x), or x, and r = (mean of its square + epsilon)^(-1/2). */
export function normParts(b: GraphBuilder, { axes, centred, epsilon }: Norm, x: ValueName) {
  const c = centred ? b.sub(x, b.mean(x, axes)) : x;
  const v = b.mean(b.square(c), axes);
  return { c, v, r: b.reciprocal(b.sqrt(b.add(v, b.scalar(epsilon, x)))) };
}

/** The transposed centring: g - mean(g), or g. */
export function centreBack(b: GraphBuilder, { axes, centred }: Norm, g: ValueName): ValueName {
  return centred ? b.sub(g, b.mean(g, axes)) : g;
}

/** J^T g with r held constant. */
export function normRelevance(b: GraphBuilder, node: Node, g: ValueName): ValueName {
  const norm = readNorm(b, node);
  const { r } = normParts(b, norm, node.inputs[0]!);
  return centreBack(b, norm, b.mul(r, b.mul(g, norm.scale)));
}
