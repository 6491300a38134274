/**
 * What the straight-through gradient of a dynamically quantised file is, said without any rule for quantised operators: the
 * gradient of its float twin, whose weights are the file's integers and whose activations are shifted by constants to where
 * the file's own run has rounded them. The twin's rules are those of MatMul and Conv, which float exports hold to PyTorch's.
 */
import type { DenseTensor, Model, NamedTensors, Node, ValueInfo, ValueName } from '../../src/onnx/index.ts';
import { GraphBuilder, int, inferGraph, numbersToData, opsetOf } from '../../src/onnx/index.ts';
import { numbersOf } from '../../conformance/numbers.ts';

export interface Twin {
  readonly model: Model;
  /** For the inputs that the twin has besides the model's: steps, zero points and shifts. */
  readonly feeds: NamedTensors;
}

const FLOAT = 1;

/** The twin of a model in canonical form for one set of inputs; undefined when it quantises nothing. `run` runs a model. */
export async function roundingTwin(
  model: Model,
  feeds: NamedTensors,
  run: (model: Model, feeds: NamedTensors) => Promise<NamedTensors>,
): Promise<Twin | undefined> {
  const { graph } = model;
  const quantizers = graph.nodes.filter(({ operator }) => operator === 'DynamicQuantizeLinear');
  if (quantizers.length === 0) return undefined;
  const facts = inferGraph(graph, opsetOf(model));
  const b = new GraphBuilder(model);
  b.setOutputs([]);
  for (const { inputs, outputs } of quantizers)
    for (const value of [inputs[0]!, ...outputs])
      if (value !== '') b.addOutput(b.op('Identity', [value]), `at/${value}`);
  const seen = await run(b.build(), feeds);
  const given: Record<ValueName, DenseTensor> = {};
  const added: ValueInfo[] = [];
  const give = (name: string, dims: readonly number[], values: readonly number[]) => {
    given[name] = { type: 'float32', dims, data: numbersToData('float32', values) };
    added.push({ name, type: 'float32', dims });
    return name;
  };
  const fixed = (name: ValueName) => graph.initializers.has(name);
  const nodes = graph.nodes.flatMap((node): Node[] => {
    if (node.operator === 'DynamicQuantizeLinear') return shifted(node, seen, give);
    // What was bytes is floats here, and moved about as such.
    if (node.operator === 'DequantizeLinear' && facts.get(node.inputs[0]!)?.type === 'uint8' && !fixed(node.inputs[0]!))
      return dequantized(node);
    if (node.operator === 'MatMulInteger') return product(node, 'MatMul', () => undefined);
    if (node.operator !== 'ConvInteger') return [node];
    const rank = facts.get(node.inputs[1]!)!.dims!.length;
    return product(node, 'Conv', (zero) => (facts.get(zero)?.dims?.length === 1 ? rank - 1 : undefined));
  });
  const twin: Model = {
    ...model,
    graph: { ...graph, nodes, inputs: [...graph.inputs, ...added], valueInfos: new Map() },
  };
  return { model: twin, feeds: given };
}

const nodeOf = (
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: Node['attributes'] = {},
): Node => ({
  name: output,
  operator,
  domain: '',
  inputs,
  outputs: [output],
  attributes,
});

/** q = x / step + shift, as a float, where the shift is what rounding and the zero point came to in the file's own run. */
function shifted(
  { inputs: [x], outputs: [q, step, zero] }: Node,
  seen: NamedTensors,
  give: (name: string, dims: readonly number[], values: readonly number[]) => string,
): Node[] {
  const [scale] = numbersOf(seen[`at/${step}`]!) as [number];
  const [values, bytes] = [numbersOf(seen[`at/${x}`]!), numbersOf(seen[`at/${q}`]!)];
  const steps = give(`${q}/step`, [], [scale]);
  const shift = give(
    `${q}/shift`,
    seen[`at/${q}`]!.dims,
    bytes.map((byte, index) => byte - values[index]! / scale),
  );
  const middle = give(`${q}/zero`, [], numbersOf(seen[`at/${zero}`]!));
  return [
    nodeOf('Div', [x!, steps], `${q}/divided`),
    nodeOf('Add', [`${q}/divided`, shift], q!),
    nodeOf('Identity', [steps], step!),
    nodeOf('Identity', [middle], zero!),
  ];
}

/** (q - zero) step, of one step for all. */
function dequantized({ inputs: [q, step, zero], outputs: [x] }: Node): Node[] {
  return [nodeOf('Sub', [q!, zero!], `${x}/centred`), nodeOf('Mul', [`${x}/centred`, step!], x!)];
}

/** A product of integers as one of floats; `spread` says how many axes a zero point of several values gets behind it. */
function product(node: Node, operator: string, spread: (zero: ValueName) => number | undefined): Node[] {
  const [a, w, zeroA, zeroW] = node.inputs as [ValueName, ValueName, ValueName?, ValueName?];
  const place = node.outputs[0]!;
  const made: Node[] = [];
  const float = (value: ValueName, name: string) => {
    made.push(nodeOf('Cast', [value], `${place}/${name}`, { to: int(FLOAT) }));
    return `${place}/${name}`;
  };
  const centred = (value: ValueName, zero: ValueName | undefined, name: string) => {
    const plain = float(value, name);
    if (!zero) return plain;
    let offset = float(zero, `${name}/zero`);
    const axes = spread(zero);
    if (axes !== undefined) {
      const shape = { shape: { kind: 'ints', value: [-1, ...Array<number>(axes).fill(1)] } } as const;
      made.push(nodeOf('Constant', [], `${offset}/shape`, { value_ints: shape.shape }));
      made.push(nodeOf('Reshape', [offset, `${offset}/shape`], `${offset}/spread`));
      offset = `${offset}/spread`;
    }
    made.push(nodeOf('Sub', [plain, offset], `${plain}/centred`));
    return `${plain}/centred`;
  };
  const inputs = [centred(a, zeroA, 'left'), centred(w, zeroW, 'right')];
  return [...made, nodeOf(operator, inputs, place, node.attributes)];
}
