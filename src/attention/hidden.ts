import type { Node, ValueName } from '../onnx/index.ts';
import type { AttentionBlock } from './locate.ts';
import { isProduct } from './trace.ts';
import type { Tracer } from './trace.ts';

/**
 * What a block's values, else its keys, were projected from, [batch, keys, hidden]: the operand, that is no weight, of the
 * product with a weight that they come from. undefined where there is none to be found.
 */
export function hiddenOf(tracer: Tracer, block: AttentionBlock): ValueName | undefined {
  const projection = projectionBefore(tracer, block.values) ?? projectionBefore(tracer, block.keys);
  const operand = projection?.inputs.find((name) => !tracer.constants.has(name));
  if (operand === undefined) return undefined;
  // What a product of integers reads is a float value rounded.
  const rounded = tracer.producers.get(operand);
  const source = rounded?.operator === 'DynamicQuantizeLinear' ? rounded.inputs[0]! : operand;
  // Exporters flatten batch and positions for Gemm.
  const producer = tracer.producers.get(source);
  const flattened = tracer.facts.get(source)?.dims?.length === 2 && producer?.operator === 'Reshape';
  return flattened ? producer.inputs[0] : source;
}

/** Going up from a value by what depends on the input, the nearest product with a weight. */
function projectionBefore(tracer: Tracer, value: ValueName): Node | undefined {
  let at = value;
  for (let steps = 0; steps < 16; steps++) {
    const node = tracer.producers.get(at);
    if (node === undefined) return undefined;
    if (isProduct(node) || node.operator === 'Gemm' || node.operator === 'MatMulInteger')
      return node.inputs.some((name) => tracer.constants.has(name)) ? node : undefined;
    at = node.inputs.find((name) => name !== '' && !tracer.constants.has(name)) ?? '';
  }
  return undefined;
}
