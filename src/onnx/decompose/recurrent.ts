/** RNN, GRU and LSTM as a Scan over time; the product of all inputs with the weights is one MatMul before it. */
import type { GraphBuilder } from '../builder.ts';
import { UserError } from '../errors.ts';
import type { Node, ValueName } from '../model.ts';
import { float, floatAttribute, int, intAttribute, ints, stringAttribute } from '../model.ts';
import type { Decomposition } from './decomposition.ts';
import { given } from './decomposition.ts';

type Activation = (b: GraphBuilder, x: ValueName) => ValueName;

/** The parameters of one direction. */
interface Weights {
  /** X W' + biases: [time, batch, gates * hidden]. */
  readonly inputs: ValueName;
  /** R' [hidden, gates * hidden] */
  readonly recurrent: ValueName;
  /** h R', where it is another product than that of floats. */
  readonly product?: (b: GraphBuilder, h: ValueName) => ValueName;
  /** Bias of the recurrent product [gates * hidden], where it isn't in `inputs` already. */
  readonly recurrentBias: ValueName | undefined;
  /** Peephole weights [3 * hidden]. */
  readonly peepholes: ValueName | undefined;
  readonly activations: readonly Activation[];
}

/** One step: from the states before and the inputs' part to the states after; the first state is the output. */
type Step = (
  b: GraphBuilder,
  node: Node,
  weights: Weights,
  states: readonly ValueName[],
  input: ValueName,
) => readonly ValueName[];

interface Cell {
  readonly gates: number;
  readonly states: number;
  readonly defaults: readonly string[];
  readonly step: Step;
  /** Where the first initial state and the peepholes stand among the inputs. */
  readonly initial: number;
  readonly peepholes?: number;
  /** Whether weights are integers [directions, in, gates * hidden], with scale and zero point from input 8 on. */
  readonly quantized?: boolean;
  /** Whether the recurrent bias has to stay apart. */
  readonly apart?: (node: Node) => boolean;
}

const clip = (b: GraphBuilder, node: Node, x: ValueName) => {
  const bound = floatAttribute(node, 'clip', 0);
  return bound > 0 ? b.op('Clip', [x, b.scalar(-bound, x), b.scalar(bound, x)]) : x;
};
const parts = (b: GraphBuilder, x: ValueName, count: number, size: number) =>
  count === 1
    ? [x]
    : b.emit('Split', [x, b.int64s(Array<number>(count).fill(size))], { axis: int(b.rank(x) - 1) }, { outputs: count });
const hiddenSize = (node: Node) => intAttribute(node, 'hidden_size', 0);

// h = f(x + h R')
const rnnStep: Step = (b, node, { recurrent, activations }, [h], input) => [
  activations[0]!(b, clip(b, node, b.add(input, b.matmul(h!, recurrent)))),
];

// z, r = f(x + h R'); n = g(x + (r h) R') or g(x + r (h R' + b)); h = (1 - z) n + z h
const gruStep: Step = (b, node, { recurrent, recurrentBias, activations }, [h], input) => {
  const size = hiddenSize(node);
  const [f, g] = activations as [Activation, Activation];
  const [xz, xr, xn] = parts(b, input, 3, size);
  const [rz, rr, rn] = parts(b, recurrent, 3, size);
  const [bz, br, bn] = recurrentBias === undefined ? [] : parts(b, recurrentBias, 3, size);
  const plus = (x: ValueName, bias: ValueName | undefined) => (bias === undefined ? x : b.add(x, bias));
  const z = f(b, clip(b, node, plus(b.add(xz!, b.matmul(h!, rz!)), bz)));
  const r = f(b, clip(b, node, plus(b.add(xr!, b.matmul(h!, rr!)), br)));
  const hidden = recurrentBias === undefined ? b.matmul(b.mul(r, h!), rn!) : b.mul(r, plus(b.matmul(h!, rn!), bn));
  const n = g(b, clip(b, node, b.add(xn!, hidden)));
  return [b.add(b.mul(b.sub(b.scalar(1, z), z), n), b.mul(z, h!))];
};

// i, o, f = f(x + h R' + p c), n = g(x + h R'); c = f c + i n; h = o h(c)
const lstmStep: Step = (b, node, { recurrent, product, peepholes, activations }, [h, c], input) => {
  const size = hiddenSize(node);
  const [f, g, last] = activations as [Activation, Activation, Activation];
  const [xi, xo, xf, xn] = parts(b, b.add(input, product?.(b, h!) ?? b.matmul(h!, recurrent)), 4, size);
  const [pi, po, pf] = peepholes === undefined ? [] : parts(b, peepholes, 3, size);
  const gate = (x: ValueName, weight: ValueName | undefined, cell: ValueName) =>
    f(b, clip(b, node, weight === undefined ? x : b.add(x, b.mul(weight, cell))));
  const i = gate(xi!, pi, c!);
  const forget = intAttribute(node, 'input_forget', 0) === 1 ? b.sub(b.scalar(1, i), i) : gate(xf!, pf, c!);
  const cell = b.add(b.mul(forget, c!), b.mul(i, g(b, clip(b, node, xn!))));
  return [b.mul(gate(xo!, po, cell), last(b, cell)), cell];
};

const CELLS: Readonly<Record<'RNN' | 'GRU' | 'LSTM', Cell>> = {
  RNN: { gates: 1, states: 1, defaults: ['Tanh'], step: rnnStep, initial: 5 },
  GRU: {
    gates: 3,
    states: 1,
    defaults: ['Sigmoid', 'Tanh'],
    step: gruStep,
    initial: 5,
    apart: (node) => intAttribute(node, 'linear_before_reset', 0) === 1,
  },
  LSTM: { gates: 4, states: 2, defaults: ['Sigmoid', 'Tanh', 'Tanh'], step: lstmStep, initial: 5, peepholes: 7 },
};
const QUANTIZED_LSTM: Cell = { ...CELLS.LSTM, quantized: true };

const recurrent =
  (cell: Cell): Decomposition =>
  (b, node) => {
    const size = hiddenSize(node);
    const batchFirst = intAttribute(node, 'layout', 0) === 1;
    if (size === 0 || b.dims(node.inputs[0]!) === undefined) return undefined;
    const x = batchFirst ? b.transpose(node.inputs[0]!, [1, 0, 2]) : node.inputs[0]!;
    const direction = stringAttribute(node, 'direction', 'forward');
    const backward = direction === 'bidirectional' ? [false, true] : [direction === 'reverse'];
    const runs = backward.map((reverse, index) => runDirection(b, node, cell, x, index, reverse, batchFirst));
    const stacked = (values: readonly ValueName[], axis: number) =>
      b.concat(
        values.map((value) => b.unsqueeze(value, [axis])),
        axis,
      );
    // Y is [time, directions, batch, hidden], or [batch, time, directions, hidden].
    const y = stacked(
      runs.map((run) => run.all),
      1,
    );
    const last = Array.from({ length: cell.states }, (_, state) =>
      stacked(
        runs.map((run) => run.last[state]!),
        batchFirst ? 1 : 0,
      ),
    );
    return [batchFirst ? b.transpose(y, [2, 0, 1, 3]) : y, ...last];
  };

function runDirection(
  b: GraphBuilder,
  node: Node,
  cell: Cell,
  x: ValueName,
  index: number,
  reverse: boolean,
  batchFirst: boolean,
): { all: ValueName; last: readonly ValueName[] } {
  const size = hiddenSize(node);
  const lengths = given(node, 4);
  const pick = (position: number, axis = 0) => {
    const value = given(node, position);
    return value && b.gather(value, b.constant('int64', [], [index]), axis);
  };
  const turn = (value: ValueName) =>
    b.op('ReverseSequence', [value, b.cast(lengths!, 'int64')], { time_axis: int(0), batch_axis: int(1) });
  // With lengths of their own, only what belongs to a sequence is reversed; else the Scan itself runs backward.
  const turned = reverse && lengths !== undefined;
  const bias = pick(3);
  const [inputBias, recurrentBias] = bias ? parts(b, bias, 2, cell.gates * size) : [];
  const apart = cell.apart?.(node) ?? false;
  const sequence = turned ? turn(x) : x;
  let inputs = cell.quantized
    ? dynamicProduct(b, sequence, pick(1)!, pick(8)!, pick(9))
    : b.matmul(sequence, b.transpose(pick(1)!, [1, 0]));
  if (inputBias !== undefined) inputs = b.add(inputs, apart ? inputBias : b.add(inputBias, recurrentBias!));
  const batch = b.dimension(x, 1);
  const zeros = b.op(
    'ConstantOfShape',
    [b.concat([batch, b.int64s([size])], 0)],
    { value: { kind: 'tensor', value: b.weightOf(b.type(x), [1], [0]) } },
    { dims: [b.dims(x)?.[1], size] },
  );
  const first = Array.from(
    { length: cell.states },
    (_, state) => pick(cell.initial + state, batchFirst ? 1 : 0) ?? zeros,
  );
  const recurrent = pick(2)!;
  const [scale, zero] = cell.quantized ? [pick(10)!, pick(11)] : [];
  const weights: Weights = {
    inputs,
    recurrent: cell.quantized ? recurrent : b.transpose(recurrent, [1, 0]),
    ...(scale === undefined ? {} : { product: (inner, h) => dynamicProduct(inner, h, recurrent, scale, zero) }),
    recurrentBias: apart
      ? (recurrentBias ?? b.constant(b.type(x), [cell.gates * size], Array<number>(cell.gates * size).fill(0)))
      : undefined,
    peepholes: cell.peepholes === undefined ? undefined : pick(cell.peepholes),
    activations: activationsOf(node, cell, index),
  };
  const visible = lengths && visibleSteps(b, inputs, lengths);
  const outputs = scanOverTime(b, node, cell, weights, first, visible, reverse && !turned);
  const all = outputs[cell.states]!;
  return { all: turned ? turn(all) : all, last: outputs.slice(0, cell.states) };
}

/** x W with x rounded to bytes by its own range: as the kernel does for all steps of the input at once, and for each state. */
function dynamicProduct(
  b: GraphBuilder,
  x: ValueName,
  weight: ValueName,
  scale: ValueName,
  zero: ValueName | undefined,
): ValueName {
  const [bytes, step, offset] = b.emit('DynamicQuantizeLinear', [x], {}, { outputs: 3 });
  const integers = b.op('MatMulInteger', [bytes!, weight, offset!, zero ?? '']);
  return b.mul(b.cast(integers, b.type(x)), b.mul(step!, scale));
}

/** [time, batch, 1]: whether a step is within its sequence. */
function visibleSteps(b: GraphBuilder, inputs: ValueName, lengths: ValueName): ValueName {
  const steps = b.unsqueeze(b.positions(inputs, 0), [1, 2]);
  return b.less(steps, b.unsqueeze(b.cast(lengths, 'int64'), [1]));
}

function scanOverTime(
  b: GraphBuilder,
  node: Node,
  cell: Cell,
  weights: Weights,
  first: readonly ValueName[],
  visible: ValueName | undefined,
  backward: boolean,
): ValueName[] {
  const scope = b.unusedName('onnxray/step');
  const info = (name: string, value: ValueName, axis?: number) => ({
    name: `${scope}/${name}`,
    type: b.type(value),
    dims: axis === undefined ? b.dims(value) : b.dims(value)?.slice(1),
  });
  const states = first.map((value, index) => info(`state_${index}`, value));
  const slices = [info('inputs', weights.inputs, 0), ...(visible ? [info('visible', visible, 0)] : [])];
  const body = b.subgraph([...states, ...slices], (inner) => {
    const before = states.map(({ name }) => name);
    const after = cell.step(inner, node, weights, before, slices[0]!.name);
    if (!visible) return [...after, after[0]!];
    const within = slices[1]!.name;
    const kept = after.map((value, index) => inner.where(within, value, before[index]!));
    return [...kept, inner.where(within, after[0]!, inner.scalar(0, after[0]!))];
  });
  const direction = backward ? 1 : 0;
  const time = b.dims(weights.inputs)?.[0];
  return b.emit(
    'Scan',
    [...first, weights.inputs, ...(visible ? [visible] : [])],
    {
      body: { kind: 'graph', value: body },
      num_scan_inputs: int(slices.length),
      scan_input_directions: ints(slices.map(() => direction)),
      scan_output_directions: ints([direction]),
    },
    {
      outputs: cell.states + 1,
      facts: [
        ...first.map((value) => ({ type: b.type(value), dims: b.dims(value) })),
        { type: b.type(first[0]!), dims: [time, ...(b.dims(first[0]!) ?? [])] },
      ],
    },
  );
}

/** The activation functions of one direction, with their alphas and betas, taken from lists in order of use. */
function activationsOf(node: Node, cell: Cell, direction: number): Activation[] {
  const list = node.attributes['activations'];
  const names = list?.kind === 'strings' ? list.value : undefined;
  const numbers = (name: string) => {
    const attribute = node.attributes[name];
    return attribute?.kind === 'floats' ? [...attribute.value] : [];
  };
  const [alphas, betas] = [numbers('activation_alpha'), numbers('activation_beta')];
  const all = names ?? [...cell.defaults, ...cell.defaults];
  const made = all.map((name) => {
    const [alpha, beta] = PARAMETERS[name.toLowerCase()] ?? [undefined, undefined];
    return activation(
      name,
      alpha === undefined ? 0 : (alphas.shift() ?? alpha),
      beta === undefined ? 0 : (betas.shift() ?? beta),
    );
  });
  return made.slice(direction * cell.defaults.length);
}

/** Default alpha and beta of the activations that have them. */
const PARAMETERS: Readonly<Record<string, readonly [number?, number?]>> = {
  affine: [1, 0],
  leakyrelu: [0.01],
  thresholdedrelu: [1],
  scaledtanh: [1, 1],
  hardsigmoid: [0.2, 0.5],
  elu: [1],
};

function activation(name: string, alpha: number, beta: number): Activation {
  switch (name.toLowerCase()) {
    case 'relu':
      return (b, x) => b.op('Relu', [x]);
    case 'tanh':
      return (b, x) => b.tanh(x);
    case 'sigmoid':
      return (b, x) => b.sigmoid(x);
    case 'affine':
      return (b, x) => b.add(b.mul(x, b.scalar(alpha, x)), b.scalar(beta, x));
    case 'leakyrelu':
      return (b, x) => b.op('LeakyRelu', [x], { alpha: float(alpha) });
    case 'thresholdedrelu':
      return (b, x) => b.op('ThresholdedRelu', [x], { alpha: float(alpha) });
    case 'scaledtanh':
      return (b, x) => b.mul(b.tanh(b.mul(x, b.scalar(beta, x))), b.scalar(alpha, x));
    case 'hardsigmoid':
      return (b, x) => b.op('HardSigmoid', [x], { alpha: float(alpha), beta: float(beta) });
    case 'elu':
      return (b, x) => b.op('Elu', [x], { alpha: float(alpha) });
    case 'softsign':
      return (b, x) => b.op('Softsign', [x]);
    case 'softplus':
      return (b, x) => b.op('Softplus', [x]);
    default:
      throw new UserError(`the activation "${name}" of a recurrent layer is unknown`);
  }
}

export const recurrentFamily = {
  RNN: recurrent(CELLS.RNN),
  GRU: recurrent(CELLS.GRU),
  LSTM: recurrent(CELLS.LSTM),
  'com.microsoft::DynamicQuantizeLSTM': recurrent(QUANTIZED_LSTM),
} satisfies Readonly<Record<string, Decomposition>>;
