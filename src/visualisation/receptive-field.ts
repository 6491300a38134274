/**
 * Receptive fields: which pixels of the picture a place of a layer is computed from, told from the graph alone. Araujo, Norris & Sim
 * 2019, https://distill.pub/2019/computing-receptive-fields.
 */
import {
  inferGraph,
  intAttribute,
  intsAttribute,
  isStatic,
  opsetOf,
  positiveAxis,
  stringAttribute,
} from '../onnx/index.ts';
import type { Facts, Model, Node, ValueName } from '../onnx/index.ts';

/** Along one axis: the place i sees the pixels from start + i * step, `size` of them; the first may lie outside the picture. */
export interface Reach {
  readonly start: number;
  readonly step: number;
  readonly size: number;
}

export interface ReceptiveField {
  readonly y: Reach;
  readonly x: Reach;
}

/** What places of a value see: a map with rows and columns at these axes, each its own part; or all of the picture. */
type Seen = (ReceptiveField & { readonly rows: number; readonly columns: number }) | 'all';

/** One number from one number of each input, at the same place. */
const POINTWISE = new Set(
  (
    'Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization BitShift Cast CastLike Ceil Celu Clip Cos Cosh ' +
    'DequantizeLinear Div Dropout Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual GroupNormalization HardSigmoid ' +
    'HardSwish Identity InstanceNormalization IsInf IsNaN LRN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg ' +
    'Not Or PRelu Pow QuantizeLinear Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub ' +
    'Sum Tan Tanh ThresholdedRelu Where Xor'
  ).split(' '),
);
const WINDOWED = new Set(['Conv', 'ConvInteger', 'QLinearConv', 'MaxPool', 'AveragePool', 'LpPool']);

/**
 * The receptive field of a value of four axes, in pixels of the model's input; undefined where each place may see all of the
 * picture, as behind attention or a linear layer. Factors for whole channels (squeeze and excitation) and statistics over
 * places (instance, group and layer norm) also hang on all of it, but on no place more than another: they are left aside.
 * Where places of upsampled maps see more or less by turns, what all of them see at most.
 */
export function receptiveField(
  model: Model,
  { input, layout }: { readonly input: ValueName; readonly layout: 'NCHW' | 'NHWC' },
  value: ValueName,
): ReceptiveField | undefined {
  const facts = inferGraph(model.graph, opsetOf(model));
  const pixel = { start: 0, step: 1, size: 1 };
  const [rows, columns] = layout === 'NCHW' ? [2, 3] : [1, 2];
  const seen = new Map<ValueName, Seen>([[input, { y: pixel, x: pixel, rows: rows!, columns: columns! }]]);
  const scene: Scene = { facts, seen, producers: producersOf(model) };
  for (const node of model.graph.nodes) {
    if (!node.inputs.some((name) => seen.has(name))) continue;
    const after = seenAfter(node, scene);
    for (const output of node.outputs) seen.set(output, after);
    if (node.outputs.includes(value)) break;
  }
  const found = seen.get(value);
  return found === undefined || found === 'all' ? undefined : { y: found.y, x: found.x };
}

interface Scene {
  readonly facts: ReadonlyMap<ValueName, Facts>;
  readonly seen: ReadonlyMap<ValueName, Seen>;
  readonly producers: ReadonlyMap<ValueName, Node>;
}

function seenAfter(node: Node, scene: Scene): Seen {
  const { facts, seen } = scene;
  const before = seen.get(node.inputs[0]!);
  const rank = (name: ValueName | undefined) => facts.get(name ?? '')?.dims?.length ?? 0;
  const axis = (fallback: number) => positiveAxis(intAttribute(node, 'axis', fallback), rank(node.inputs[0]));
  const { operator } = node;
  if (POINTWISE.has(operator)) return together(node, scene);
  if (operator === 'Reshape') return reshaped(node, scene);
  if (operator === 'Concat') {
    const both = together(node, scene);
    return both === 'all' || isPlace(both, axis(0)) ? 'all' : both;
  }
  // Of the others only the first input is a map.
  if (before === undefined || before === 'all' || node.inputs.slice(1).some((name) => seen.has(name))) return 'all';
  if (WINDOWED.has(operator)) return windowed(node, before, scene);
  if (operator === 'ConvTranspose') return spread(node, before, scene);
  if (operator === 'Resize') return resized(node, before, scene);
  if (operator === 'Transpose') {
    const perm = intsAttribute(node, 'perm');
    return perm === undefined
      ? 'all'
      : { ...before, rows: perm.indexOf(before.rows), columns: perm.indexOf(before.columns) };
  }
  if (operator === 'Softmax' || operator === 'LogSoftmax') return isPlace(before, axis(-1)) ? 'all' : before;
  if (operator === 'LayerNormalization') return before;
  if (operator === 'Split') return isPlace(before, axis(0)) ? 'all' : before;
  if (operator === 'Gather') {
    const picks = facts.get(node.inputs[1]!)?.dims?.length ?? 1;
    return isPlace(before, axis(0)) ? 'all' : shifted(before, axis(0), picks - 1);
  }
  if (operator === 'MatMul')
    return before.rows < rank(node.inputs[0]) - 1 && before.columns < rank(node.inputs[0]) - 1 ? before : 'all';
  if (/^Reduce|^Arg/.test(operator)) return reduced(node, before, scene);
  if (operator === 'Pad') return padded(node, before, scene);
  if (operator === 'Slice') return sliced(node, before, scene);
  if (operator === 'SpaceToDepth') {
    const block = intAttribute(node, 'blocksize', 1);
    return along(before, ({ start, step, size }) => ({ start, step: step * block, size: size + (block - 1) * step }));
  }
  if (operator === 'DepthToSpace') {
    const block = intAttribute(node, 'blocksize', 1);
    const late = (block - 1) / block;
    return along(before, ({ start, step, size }) => ({
      start: start - step * late,
      step: step / block,
      size: size + step * late,
    }));
  }
  return 'all';
}

type Mapped = Exclude<Seen, 'all'>;

const isPlace = ({ rows, columns }: Mapped, axis: number): boolean => axis === rows || axis === columns;

function along(map: Mapped, change: (reach: Reach, axis: 0 | 1) => Reach): Mapped {
  return { ...map, y: change(map.y, 0), x: change(map.x, 1) };
}

/** Axes behind one that becomes several. */
function shifted(map: Mapped, axis: number, by: number): Mapped {
  const move = (own: number) => (own > axis ? own + by : own);
  return { ...map, rows: move(map.rows), columns: move(map.columns) };
}

/** What a place sees through any of the inputs, which are laid on one another from their last axes. */
function together({ inputs, outputs }: Node, { facts, seen }: Scene): Seen {
  const rank = (name: ValueName) => facts.get(name)?.dims?.length ?? 0;
  const most = rank(outputs[0]!);
  let map: Mapped | undefined;
  const wide: ValueName[] = [];
  for (const name of inputs) {
    const own = seen.get(name);
    if (own === undefined) continue;
    if (own === 'all') {
      wide.push(name);
      continue;
    }
    const lifted = shifted(own, -1, most - rank(name));
    const joined = map === undefined ? lifted : joinMaps(map, lifted);
    if (joined === undefined) return 'all';
    map = joined;
  }
  if (map === undefined) return 'all';
  const { rows, columns } = map;
  // A number for a whole channel says nothing about places.
  const local = (name: ValueName, axis: number) => {
    const dims = facts.get(name)?.dims;
    const at = axis - (most - rank(name));
    return at >= 0 && (dims === undefined || dims[at] !== 1);
  };
  return wide.some((name) => local(name, rows) || local(name, columns)) ? 'all' : map;
}

function joinMaps(left: Mapped, right: Mapped): Mapped | undefined {
  const join = (a: Reach, b: Reach): Reach | undefined => {
    if (Math.abs(a.step - b.step) > 1e-9) return undefined;
    const start = Math.min(a.start, b.start);
    return { start, step: a.step, size: Math.max(a.start + a.size, b.start + b.size) - start };
  };
  const [y, x] = [join(left.y, right.y), join(left.x, right.x)];
  const alike = left.rows === right.rows && left.columns === right.columns;
  return alike && y !== undefined && x !== undefined ? { ...left, y, x } : undefined;
}

/** A window of the map for each place. */
function windowed(node: Node, before: Mapped, { facts }: Scene): Seen {
  const weight = node.operator === 'QLinearConv' ? node.inputs[3] : node.inputs[1];
  const g = geometryOf(node, facts.get(weight ?? '')?.dims);
  if (g === undefined) return 'all';
  return along(before, ({ start, step, size }, axis) => ({
    start: start - g.pads[axis] * step,
    step: step * g.strides[axis],
    size: size + (g.kernel[axis] - 1) * g.dilations[axis] * step,
  }));
}

/** Each place of the map goes to a window; a place of the result comes from those whose windows hold it. */
function spread(node: Node, before: Mapped, { facts }: Scene): Seen {
  const g = geometryOf(node, facts.get(node.inputs[1]!)?.dims);
  if (g === undefined) return 'all';
  return along(before, ({ start, step, size }, axis) => {
    const reach = (g.kernel[axis] - 1) * g.dilations[axis];
    const each = step / g.strides[axis];
    return { start: start + (g.pads[axis] - reach) * each, step: each, size: size + reach * each };
  });
}

type Two = readonly [number, number];

function geometryOf(node: Node, weight: Facts['dims']) {
  const kernel = intsAttribute(node, 'kernel_shape') ?? weight?.slice(2);
  if (kernel?.length !== 2 || !isStatic(kernel) || stringAttribute(node, 'auto_pad', 'NOTSET') !== 'NOTSET')
    return undefined;
  const two = (name: string): Two => (intsAttribute(node, name) ?? [1, 1]) as unknown as Two;
  const pads = (intsAttribute(node, 'pads') ?? [0, 0, 0, 0]) as unknown as Two;
  return { kernel: kernel as unknown as Two, strides: two('strides'), dilations: two('dilations'), pads };
}

/** Places on both sides that an interpolation may look at. */
const LOOKS_AT: Readonly<Record<string, number>> = { nearest: 1, linear: 1, cubic: 2 };

function resized(node: Node, before: Mapped, { facts }: Scene): Seen {
  const lengths = ({ rows, columns }: Mapped, name: ValueName) => {
    const dims = facts.get(name)?.dims;
    const own = [dims?.[rows], dims?.[columns]];
    return isStatic(own) ? own : undefined;
  };
  const [from, to] = [lengths(before, node.inputs[0]!), lengths(before, node.outputs[0]!)];
  const reach = LOOKS_AT[stringAttribute(node, 'mode', 'nearest')];
  const coordinates = stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel');
  const plain = intAttribute(node, 'antialias', 0) === 0 && coordinates !== 'tf_crop_and_resize';
  if (from === undefined || to === undefined || reach === undefined || !plain) return 'all';
  return along(before, (own, axis) => {
    const [old, now] = [from[axis]!, to[axis]!];
    if (old === now) return own;
    const each = coordinates === 'align_corners' ? (now > 1 ? (old - 1) / (now - 1) : 0) : old / now;
    const first = coordinates.includes('half_pixel') ? each / 2 - 0.5 : 0;
    const { start, step, size } = own;
    return { start: start + (first - reach) * step, step: step * each, size: size + 2 * reach * step };
  });
}

function reduced(node: Node, before: Mapped, { facts }: Scene): Seen {
  const rank = facts.get(node.inputs[0]!)?.dims?.length ?? 0;
  const one = node.operator.startsWith('Arg') ? [intAttribute(node, 'axis', 0)] : undefined;
  const given = one ?? facts.get(node.inputs[1] ?? '')?.values ?? intsAttribute(node, 'axes');
  if (given === undefined || !isStatic(given)) return 'all';
  const axes = given.map((axis) => positiveAxis(axis, rank));
  if (axes.some((axis) => isPlace(before, axis))) return 'all';
  if (intAttribute(node, 'keepdims', 1) === 1) return before;
  return axes.toSorted((left, right) => right - left).reduce((map, axis) => shifted(map, axis, -1), before);
}

function padded({ inputs }: Node, before: Mapped, { facts }: Scene): Seen {
  const rank = facts.get(inputs[0]!)?.dims?.length ?? 0;
  const pads = facts.get(inputs[1]!)?.values;
  const axes = inputs[3] ? facts.get(inputs[3])?.values : Array.from({ length: rank }, (_, at) => at);
  if (!isStatic(pads) || !isStatic(axes)) return 'all';
  return along(before, (own, axis) => {
    const at = axes.findIndex((each) => positiveAxis(each, rank) === (axis === 0 ? before.rows : before.columns));
    return at < 0 ? own : { ...own, start: own.start - pads[at]! * own.step };
  });
}

function sliced({ inputs }: Node, before: Mapped, { facts }: Scene): Seen {
  const dims = facts.get(inputs[0]!)?.dims ?? [];
  const [starts, axes, steps] = [1, 3, 4].map((at) => facts.get(inputs[at] ?? '')?.values);
  if (!isStatic(starts)) return 'all';
  const own = isStatic(axes) ? axes : starts.map((_, at) => at);
  const places = along(before, (reach, axis) => {
    const at = own.findIndex((each) => positiveAxis(each, dims.length) === (axis === 0 ? before.rows : before.columns));
    const length = dims[axis === 0 ? before.rows : before.columns];
    if (at < 0 || typeof length !== 'number') return at < 0 ? reach : { ...reach, size: Number.NaN };
    const begin = Math.min(length, starts[at]! < 0 ? Math.max(0, starts[at]! + length) : starts[at]!);
    const every = isStatic(steps) ? steps[at]! : 1;
    return { ...reach, start: reach.start + begin * reach.step, step: reach.step * every };
  });
  return Number.isNaN(places.y.size + places.x.size) ? 'all' : places;
}

/** Reshapes that keep rows and columns, first or last, and those that put a map together again that only was taken apart. */
function reshaped({ inputs, outputs }: Node, { facts, seen, producers }: Scene): Seen {
  const dimsOf = (name: ValueName) => facts.get(name)?.dims;
  const [from, to] = [dimsOf(inputs[0]!), dimsOf(outputs[0]!)];
  const before = seen.get(inputs[0]!);
  if (from === undefined || to === undefined) return 'all';
  if (before !== undefined && before !== 'all') {
    const { rows, columns } = before;
    const behind = from.length - rows;
    if (columns === rows + 1 && from.slice(0, columns + 1).join() === to.slice(0, columns + 1).join()) return before;
    if (columns === rows + 1 && columns === from.length - 1 && from.slice(rows).join() === to.slice(-behind).join())
      return { ...before, rows: to.length - 2, columns: to.length - 1 };
  }
  let value: ValueName | undefined = inputs[0];
  while (value !== undefined) {
    const node: Node | undefined = producers.get(value);
    if (node === undefined || !(POINTWISE.has(node.operator) || node.operator === 'Reshape')) return 'all';
    value = node.inputs[0]!;
    const own = seen.get(value);
    if (own !== undefined && own !== 'all' && dimsOf(value)?.join() === to.join()) return own;
  }
  return 'all';
}

const producersOf = ({ graph }: Model): ReadonlyMap<ValueName, Node> =>
  new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
