/** Norms in parts, so that what they divide by can be held. */
import { GraphBuilder, floatAttribute, intAttribute } from '../../onnx/index.ts';
import type { Model } from '../../onnx/index.ts';

/** LayerNormalization and RMSNormalization written out: (x - mean) / sqrt(variance + epsilon) * scale + bias. */
export function freezeNorms(model: Model): Model {
  const b = new GraphBuilder({ ...model, graph: { ...model.graph, nodes: [] } });
  b.reserve(model.graph.nodes);
  for (const node of model.graph.nodes) {
    const centred = node.operator === 'LayerNormalization';
    if (node.domain !== '' || (!centred && node.operator !== 'RMSNormalization')) {
      b.push(node);
      continue;
    }
    const [x, scale, bias] = [node.inputs[0]!, node.inputs[1]!, node.inputs[2]];
    const first = b.axis(x, intAttribute(node, 'axis', -1));
    const axes = Array.from({ length: b.rank(x) - first }, (_, index) => first + index);
    const c = centred ? b.sub(x, b.mean(x, axes)) : x;
    const variance = b.mean(b.square(c), axes);
    const deviation = b.sqrt(b.add(variance, b.scalar(floatAttribute(node, 'epsilon', 1e-5), x)));
    const scaled = b.mul(b.div(c, deviation), scale);
    b.rename(bias === undefined || bias === '' ? scaled : b.add(scaled, bias), node.outputs[0]!);
  }
  return b.build();
}
