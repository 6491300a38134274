import { positiveAxis } from './dims.ts';
import { UserError } from './errors.ts';
import type { Surroundings } from './infer/index.ts';
import { startInference } from './infer/index.ts';
import type { Attribute, Graph, Model, Node, ValueName, Weight } from './model.ts';
import {
  floatAttribute,
  int,
  intAttribute,
  intsAttribute,
  opsetOf,
  string,
  stringAttribute,
  withSubgraphs,
  nodeLabel,
} from './model.ts';
import type { DataType, Dim } from './tensor.ts';
import { batchedScan } from './upgrade-scan.ts';
import { numbersWeight, weightNumbers } from './weight.ts';

/** The operator set all passes work on: the first in which every reduction takes its axes as an input. */
export const CANONICAL_OPSET = 18;
const OLDEST_OPSET = 7;
/** The newest that the installed onnxruntime runs, of each domain it has a limit for, and the newest form of file it reads. */
export const NEWEST_OPSETS = { '': 26, 'ai.onnx.ml': 5 } as const;
export const NEWEST_IR_VERSION = 13;

/** What an upgrade of a node needs from around it. */
interface Context {
  readonly opset: number;
  type(value: ValueName): DataType;
  dims(value: ValueName): readonly Dim[] | undefined;
  /** The elements of a small constant. */
  numbers(value: ValueName): readonly number[] | undefined;
  /** Adds a constant and names it. */
  constant(weight: Weight): ValueName;
  /** A fresh name for a value between two nodes. */
  fresh(near: ValueName): ValueName;
}
type Upgrade = (node: Node, context: Context) => Node | Node[];

/** The same model in ai.onnx opset 18, or as it is when newer. Names of all values stay. */
export function upgradeModel(model: Model): Model {
  refuseNewer(model);
  // Models of other domains only, such as trees, may not name ai.onnx: what is appended needs it.
  if (!model.opsets.has('')) return { ...model, opsets: new Map([...model.opsets, ['', CANONICAL_OPSET]]) };
  const opset = opsetOf(model);
  if (opset >= CANONICAL_OPSET) return model;
  if (opset < OLDEST_OPSET)
    throw new UserError(
      `the model uses opset ${opset}; opsets before ${OLDEST_OPSET} are not supported: convert it with onnx.version_converter`,
    );
  const graph = upgradeGraph(model.graph, opset);
  return {
    ...model,
    irVersion: Math.max(model.irVersion, 8),
    opsets: new Map([...model.opsets, ['', CANONICAL_OPSET]]),
    graph,
  };
}

function refuseNewer(model: Model): void {
  for (const [domain, newest] of Object.entries(NEWEST_OPSETS)) {
    const opset = model.opsets.get(domain) ?? 0;
    if (opset > newest)
      throw new UserError(
        `the model uses opset ${opset}${domain === '' ? '' : ` of ${domain}`}; onnxruntime runs opsets up to ${newest}: export it with an older one, or convert it with onnx.version_converter`,
      );
  }
  if (model.irVersion > NEWEST_IR_VERSION)
    throw new UserError(
      `the model's file has IR version ${model.irVersion}; onnxruntime reads versions up to ${NEWEST_IR_VERSION}: export it with an older onnx, or set ir_version to ${NEWEST_IR_VERSION} if nothing newer is used`,
    );
}

function upgradeGraph(graph: Graph, opset: number, outer?: Surroundings): Graph {
  const initializers = new Map(graph.initializers);
  const nodes: Node[] = [];
  let counter = 0;
  // Types and ranks are inferred on what is upgraded so far, when somebody asks: inference expects the canonical form.
  const inference = startInference(graph, CANONICAL_OPSET, outer);
  let inferred = 0;
  const facts = (value: ValueName) => {
    while (inferred < nodes.length) inference.infer(nodes[inferred++]!);
    return inference.facts(value);
  };
  const context: Context = {
    opset,
    type: (value) => facts(value)?.type ?? 'float32',
    dims: (value) => facts(value)?.dims,
    numbers(value) {
      const weight = initializers.get(value);
      return weight && weightNumbers(weight, 16);
    },
    constant(weight) {
      const name = `onnxray/upgrade_${graph.name}_${counter++}`;
      initializers.set(name, weight);
      inference.addWeight(name, weight);
      return name;
    },
    fresh: (near) => `${near}/onnxray_${counter++}`,
  };
  for (const node of graph.nodes) {
    const upgrade = node.domain === '' ? UPGRADES[node.operator] : undefined;
    const upgraded = upgrade === undefined ? node : upgrade(node, context);
    for (const each of Array.isArray(upgraded) ? upgraded : [upgraded])
      nodes.push(withSubgraphs(each, (inner) => upgradeGraph(inner, opset, { facts, weight: inference.weight })));
  }
  return { ...graph, nodes, initializers };
}

const without = (node: Node, ...names: string[]): Node['attributes'] =>
  Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !names.includes(name)));

const int64s = (values: readonly number[]): Weight => numbersWeight('int64', [values.length], values);

/** Name of a node that does part of another's work; nodes need no names, but those they have must differ. */
const partName = (node: Node, part: string) => (node.name === '' ? '' : `${node.name}/${part}`);

/** Inputs with one set at a position, absent ones between filled with the empty name. */
function withInput(node: Node, index: number, value: ValueName): ValueName[] {
  const inputs = [...node.inputs];
  while (inputs.length <= index) inputs.push('');
  inputs[index] = value;
  return inputs;
}

/** An int-list attribute that became an input. */
const attributeToInput =
  (attribute: string, index: number): Upgrade =>
  (node, context) => {
    const values = intsAttribute(node, attribute);
    if (values === undefined) return node;
    return {
      ...node,
      inputs: withInput(node, index, context.constant(int64s(values))),
      attributes: without(node, attribute),
    };
  };

const clip: Upgrade = (node, context) => {
  if (context.opset >= 11) return node;
  const scalar = (name: string) => {
    const value = node.attributes[name];
    return value?.kind === 'float'
      ? context.constant(numbersWeight(context.type(node.inputs[0]!), [], [value.value]))
      : '';
  };
  const inputs = [node.inputs[0]!, scalar('min'), scalar('max')];
  while (inputs.at(-1) === '') inputs.pop();
  return { ...node, inputs, attributes: {} };
};

const slice: Upgrade = (node, context) => {
  const [starts, ends, axes] = [
    intsAttribute(node, 'starts'),
    intsAttribute(node, 'ends'),
    intsAttribute(node, 'axes'),
  ];
  if (starts === undefined || ends === undefined) return node;
  const lists = [starts, ends, axes ?? starts.map((_, index) => index)];
  return { ...node, inputs: [node.inputs[0]!, ...lists.map((list) => context.constant(int64s(list)))], attributes: {} };
};

const pad: Upgrade = (node, context) => {
  const pads = intsAttribute(node, 'pads') ?? intsAttribute(node, 'paddings');
  if (pads === undefined) return node;
  const value = context.constant(numbersWeight(context.type(node.inputs[0]!), [], [floatAttribute(node, 'value', 0)]));
  const mode = stringAttribute(node, 'mode', 'constant');
  return {
    ...node,
    inputs: [node.inputs[0]!, context.constant(int64s(pads)), ...(mode === 'constant' ? [value] : [])],
    attributes: { mode: string(mode) },
  };
};

const split: Upgrade = (node, context) => {
  const converted = attributeToInput('split', 1)(node, context) as Node;
  if (converted.inputs[1]) return converted;
  return { ...converted, attributes: { ...converted.attributes, num_outputs: int(node.outputs.length) } };
};

/** Before opset 13 softmax ran over all axes from `axis` on, as over one flattened axis. */
const softmax: Upgrade = (node, context) => {
  if (context.opset >= 13) return node;
  const x = node.inputs[0]!;
  const rank = context.dims(x)?.length;
  const axis = intAttribute(node, 'axis', 1);
  if (rank !== undefined && positiveAxis(axis, rank) === rank - 1) return { ...node, attributes: { axis: int(-1) } };
  const [flat, soft, shape] = [context.fresh(x), context.fresh(x), context.fresh(x)];
  const step = (
    operator: string,
    inputs: ValueName[],
    output: ValueName,
    attributes: Record<string, Attribute>,
  ): Node => ({ name: partName(node, operator), operator, domain: '', inputs, outputs: [output], attributes });
  return [
    step('Flatten', [x], flat, { axis: int(axis) }),
    step(node.operator, [flat], soft, { axis: int(-1) }),
    step('Shape', [x], shape, {}),
    // Its own shape: a 0 in it is a length, not one to copy.
    { ...step('Reshape', [soft, shape], node.outputs[0]!, { allowzero: int(1) }), name: node.name },
  ];
};

/**
 * Upsample and Resize of opset 10 sample at x / scale, and nearest rounds that down when growing but, in onnxruntime,
 * up when shrinking. Both in one node become two, as newer versions round all axes alike.
 */
const oldResize: Upgrade = (node, context) => {
  const given = node.attributes['scales'];
  const scales = given?.kind === 'floats' ? given.value : context.numbers(node.inputs[1]!);
  const list = (values: readonly number[]) => context.constant(numbersWeight('float32', [values.length], values));
  const mode = stringAttribute(node, 'mode', 'nearest').replace('bilinear', 'linear');
  const step = (x: ValueName, scale: ValueName, rounding: 'floor' | 'ceil', output: ValueName): Node => ({
    ...node,
    operator: 'Resize',
    inputs: [x, '', scale],
    outputs: [output],
    attributes: {
      mode: string(mode),
      coordinate_transformation_mode: string('asymmetric'),
      nearest_mode: string(rounding),
    },
  });
  const [x, y] = [node.inputs[0]!, node.outputs[0]!];
  const grows = scales?.some((scale) => scale > 1) ?? true;
  const shrinks = mode === 'nearest' && scales?.some((scale) => scale < 1) === true;
  const all = () => (given?.kind === 'floats' ? list(given.value) : node.inputs[1]!);
  if (!shrinks) return step(x, all(), 'floor', y);
  if (!grows) return step(x, all(), 'ceil', y);
  const between = context.fresh(x);
  return [
    { ...step(x, list(scales!.map((scale) => Math.max(scale, 1))), 'floor', between), name: partName(node, 'up') },
    step(between, list(scales!.map((scale) => Math.min(scale, 1))), 'ceil', y),
  ];
};

const resize: Upgrade = (node, context) => {
  if (context.opset < 11) return oldResize(node, context);
  if (stringAttribute(node, 'coordinate_transformation_mode', '') === 'tf_half_pixel_for_nn')
    throw new UserError(
      `Resize "${nodeLabel(node)}": tf_half_pixel_for_nn was withdrawn from ONNX in opset 13 and is not supported`,
    );
  // An empty roi or scales tensor means "not given", which newer versions say by leaving the input out.
  const isEmpty = (value: ValueName | undefined) =>
    value !== undefined && value !== '' && context.dims(value)?.[0] === 0;
  const inputs = node.inputs.map((value, index) => (index > 0 && isEmpty(value) ? '' : value));
  return { ...node, inputs };
};

/** Attributes of training that inference ignores, and outputs it does not have. */
const batchNorm: Upgrade = (node) => {
  if (intAttribute(node, 'training_mode', 0) === 1) return node;
  return inferenceBatchNorm(node);
};
const inferenceBatchNorm = (node: Node): Node => ({
  ...node,
  outputs: node.outputs.slice(0, 1),
  attributes: without(node, 'spatial', 'momentum', 'training_mode', 'is_test'),
});

/** Since opset 12 an input says whether it trains; before, and unless that says so, it is the identity. */
const dropout: Upgrade = (node, context) => {
  const training = context.opset >= 12 ? node.inputs[2] : undefined;
  if (training && context.numbers(training)?.[0] !== 0) return node;
  return { ...node, inputs: node.inputs.slice(0, 1), attributes: {} };
};

const topK: Upgrade = (node, context) => {
  const k = intAttribute(node, 'k');
  return k === undefined
    ? node
    : { ...node, inputs: [node.inputs[0]!, context.constant(int64s([k]))], attributes: without(node, 'k') };
};

const roiAlign: Upgrade = (node, context) =>
  context.opset >= 16
    ? node
    : { ...node, attributes: { ...node.attributes, coordinate_transformation_mode: string('output_half_pixel') } };

const reduceAxes = attributeToInput('axes', 1);

const UPGRADES: Readonly<Record<string, Upgrade | undefined>> = {
  BatchNormalization: batchNorm,
  Clip: clip,
  Dropout: dropout,
  LogSoftmax: softmax,
  Softmax: softmax,
  Hardmax: softmax,
  Pad: pad,
  Resize: resize,
  Upsample: oldResize,
  RoiAlign: roiAlign,
  Slice: slice,
  Split: split,
  TopK: topK,
  Scan: (node, context) =>
    // The attribute is of the newer form: such a node was made by this very upgrade.
    context.opset >= 9 || node.attributes['scan_input_directions'] !== undefined
      ? node
      : batchedScan(node, (value, name) => ({ name, type: context.type(value), dims: context.dims(value)?.slice(1) })),
  Scatter: (node) => ({ ...node, operator: 'ScatterElements' }),
  Squeeze: reduceAxes,
  Unsqueeze: reduceAxes,
  ...Object.fromEntries(
    ['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'Sum', 'SumSquare'].map((name) => [
      `Reduce${name}`,
      reduceAxes,
    ]),
  ),
};
