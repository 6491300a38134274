/** Scan of opset 8 ran over a batch: a Scan over the samples of today's Scan over time. */
import { create } from '@bufbuild/protobuf';
import { TypeProtoSchema } from 'onnx-buf';
import { UserError } from './errors.ts';
import type { Graph, Node, ValueName } from './model.ts';
import { int, intAttribute, ints, intsAttribute, nodeLabel } from './model.ts';
import type { ValueInfo } from './tensor.ts';

/** What is known of a value of one sample, under another name. */
type SampleInfo = (value: ValueName, name: string) => ValueInfo;

export function batchedScan(node: Node, sampleInfo: SampleInfo): Node {
  const body = node.attributes['body'];
  const [lengths, ...inputs] = node.inputs;
  if (lengths || body?.kind !== 'graph')
    throw new UserError(
      `Scan "${nodeLabel(node)}" of opset 8 with lengths of its own is not supported: convert the model`,
    );
  const scope = node.name || node.outputs.find((name) => name !== '')!;
  const slices = intAttribute(node, 'num_scan_inputs', 0);
  const inner = inputs.map((value, index) => sampleInfo(value, `${scope}/sample_${index}`));
  const outputs = body.value.outputs.map((info, index): ValueInfo => ({
    ...info,
    name: `${scope}/of_sample_${index}`,
    dims: undefined,
  }));
  const graph: Graph = {
    name: `${scope}/samples`,
    inputs: inner,
    outputs,
    nodes: [
      {
        ...node,
        name: `${scope}/time`,
        inputs: inner.map(({ name }) => name),
        outputs: outputs.map(({ name }) => name),
        attributes: {
          body,
          num_scan_inputs: int(slices),
          scan_input_directions: ints(intsAttribute(node, 'directions') ?? Array<number>(slices).fill(0)),
        },
      },
    ],
    initializers: new Map(),
    valueInfos: new Map(),
    otherTypes: new Map(outputs.map(({ name }) => [name, create(TypeProtoSchema)])),
  };
  return {
    ...node,
    inputs,
    attributes: { body: { kind: 'graph', value: graph }, num_scan_inputs: int(inputs.length) },
  };
}
