/**
 * Control flow. The gradient of If is an If over the branches' gradients; that of Scan and of Loop is a Scan from the
 * last iteration to the first, which computes each iteration again from the state it began with. Those states become
 * further outputs of the forward node, so they must keep their shape from one iteration to the next.
 */
import type { Attribute, Graph, GraphBuilder, Node, ValueInfo, ValueName } from '../../onnx/index.ts';
import {
  UserError,
  inferGraph,
  int,
  intAttribute,
  ints,
  intsAttribute,
  isFloat,
  isStatic,
  keptApart,
  nodeLabel,
  valuesCaptured,
} from '../../onnx/index.ts';
import type { Pullback, Rule, RuleContext } from '../rule.ts';

/**
 * A subgraph, to be copied behind its node. There values are seen that were not around the node yet, its own outputs among
 * them: the copy's names keep apart from theirs.
 */
function subgraph(b: GraphBuilder, node: Node, name: string): Graph {
  const attribute = node.attributes[name];
  if (attribute?.kind !== 'graph') throw new UserError(`${node.operator} "${nodeLabel(node)}" has no ${name}`);
  return keptApart(attribute.value, (value) => b.facts(value) !== undefined, b.unusedName('onnxray/copy'));
}

/** Pullbacks of the values a node's subgraphs capture, all made at once by `build`. */
function capturedPullbacks(
  node: Node,
  wanted: readonly ValueName[],
  build: () => ReadonlyMap<ValueName, ValueName>,
): (Pullback | undefined)[] {
  return valuesCaptured(node).map((value) => (wanted.includes(value) ? () => build().get(value)! : undefined));
}

const wantedFloats = (b: GraphBuilder, values: readonly ValueName[], context: RuleContext) =>
  values.filter((value) => value !== '' && isFloat(b.type(value)) && context.wanted(value));

/** Gradients of a graph's outputs by value; an output named twice gets the sum. */
function seedsOf(
  b: GraphBuilder,
  outputs: readonly ValueInfo[],
  gradients: readonly (ValueName | undefined)[],
): Map<ValueName, ValueName> {
  const seeds = new Map<ValueName, ValueName>();
  outputs.forEach(({ name }, index) => {
    const gradient = gradients[index];
    if (gradient === undefined) return;
    const before = seeds.get(name);
    seeds.set(name, before === undefined ? gradient : b.add(before, gradient));
  });
  return seeds;
}

/** d if(c, f, g) = if(c, df, dg), with respect to what the branches capture. */
const branch: Rule = (b, node, gradients, context) => {
  const wrt = wantedFloats(b, valuesCaptured(node), context);
  const gradientOf = (graph: Graph): Attribute => ({
    kind: 'graph',
    value: b.subgraph(
      [],
      (inner) => {
        for (const each of graph.nodes) inner.push(each);
        const pulled = context.pull(inner, seedsOf(inner, graph.outputs, gradients), wrt);
        return wrt.map((value) => pulled.get(value)!);
      },
      graph,
    ),
  });
  let made: ReadonlyMap<ValueName, ValueName> | undefined;
  const build = () => {
    if (made !== undefined) return made;
    const branches = {
      then_branch: gradientOf(subgraph(b, node, 'then_branch')),
      else_branch: gradientOf(subgraph(b, node, 'else_branch')),
    };
    const outputs = b.emit('If', [node.inputs[0]!], branches, {
      outputs: wrt.length,
      facts: wrt.map((value) => ({ type: b.type(value), dims: b.dims(value) })),
    });
    made = new Map(wrt.map((value, index) => [value, outputs[index]!]));
    return made;
  };
  return [undefined, ...capturedPullbacks(node, wrt, build)];
};

/** A value that an iteration reads one slice of. */
interface Sliced {
  readonly value: ValueName;
  readonly axis: number;
  /** 0 forward, 1 backward. */
  readonly direction: number;
}

/** An iterating node as its reverse pass needs it. */
interface Iteration {
  readonly node: Node;
  readonly body: Graph;
  /** States in the body, with their values before the first iteration and their outputs' positions. */
  readonly states: readonly { readonly inside: ValueInfo; readonly first: ValueName; readonly out: number }[];
  /** Histories of the states: their values at the start of each iteration, stacked along axis 0. */
  readonly histories: readonly ValueName[];
  /** What the body reads slice by slice: the scan inputs, or the counter of a loop. */
  readonly slices: readonly { readonly inside: ValueInfo; readonly of: Sliced }[];
  /** Stacked outputs, by position among the body's outputs and the node's. */
  readonly stacked: readonly {
    readonly bodyOutput: number;
    readonly output: number;
    readonly slicing: Omit<Sliced, 'value'>;
  }[];
  /** Emits in the copied body what it reads beside states and slices. */
  readonly prepare?: (inner: GraphBuilder) => void;
}

/** What the reverse scan gives: gradients of first states, of sliced values, and of captured ones. */
interface Reversed {
  readonly states: ReadonlyMap<number, ValueName>;
  readonly slices: ReadonlyMap<number, ValueName>;
  readonly captured: ReadonlyMap<ValueName, ValueName>;
}

function reverse(
  b: GraphBuilder,
  { node, body, states, histories, slices, stacked, prepare }: Iteration,
  gradients: readonly (ValueName | undefined)[],
  captured: readonly ValueName[],
  wantedSlices: readonly number[],
  context: RuleContext,
): Reversed {
  const scope = b.unusedName('onnxray/reverse');
  const float = states.map((_, index) => index).filter((index) => isFloat(b.type(states[index]!.first)));
  const elementInfo = (name: string, value: ValueName, axis?: number): ValueInfo => ({
    name,
    type: b.type(value),
    dims: axis === undefined ? b.dims(value) : b.dims(value)?.filter((_, at) => at !== axis),
  });
  const running = stacked.filter(({ output }) => gradients[output] !== undefined);
  // A gradient of states whose final value nobody used begins as zeros.
  const final = (index: number) => gradients[index] ?? b.zerosLike(node.outputs[index] || states[index]!.first);
  const stateInputs = float.map((index) => ({ name: `${scope}/d_state_${index}`, value: final(index) }));
  const sums = captured.map((value, index) => ({ name: `${scope}/sum_${index}`, value: b.zerosLike(value) }));
  const scanned: { info: ValueInfo; of: Sliced }[] = [
    ...states.map(({ inside }, index) => ({
      info: elementInfo(inside.name, histories[index]!, 0),
      of: { value: histories[index]!, axis: 0, direction: 1 },
    })),
    ...slices.map(({ inside, of }) => ({
      info: elementInfo(inside.name, of.value, of.axis),
      of: { ...of, direction: 1 - of.direction },
    })),
    ...running.map(({ output, slicing }) => ({
      info: elementInfo(`${scope}/d_out_${output}`, gradients[output]!, slicing.axis),
      of: { value: gradients[output]!, axis: slicing.axis, direction: 1 - slicing.direction },
    })),
  ];
  const inputs = [
    ...stateInputs.map(({ name, value }) => elementInfo(name, value)),
    ...sums.map(({ name, value }) => elementInfo(name, value)),
    ...scanned.map(({ info }) => info),
  ];
  const reversed = b.subgraph(
    inputs,
    (inner) => {
      prepare?.(inner);
      for (const each of body.nodes) inner.push(each);
      const outputs = [
        ...float.map((index) => body.outputs[states[index]!.out]!),
        ...running.map(({ bodyOutput }) => body.outputs[bodyOutput]!),
      ];
      const seeds = [
        ...stateInputs.map(({ name }) => name),
        ...running.map(({ output }) => `${scope}/d_out_${output}`),
      ];
      const wrt = [
        ...float.map((index) => states[index]!.inside.name),
        ...wantedSlices.map((index) => slices[index]!.inside.name),
        ...captured,
      ];
      const pulled = context.pull(inner, seedsOf(inner, outputs, seeds), wrt);
      return [
        ...float.map((index) => pulled.get(states[index]!.inside.name)!),
        ...captured.map((value, index) => inner.add(sums[index]!.name, pulled.get(value)!)),
        ...wantedSlices.map((index) => pulled.get(slices[index]!.inside.name)!),
      ];
    },
    body,
  );
  const backSlices = wantedSlices.map((index) => slices[index]!.of);
  const outputs = b.emit(
    'Scan',
    [...stateInputs.map(({ value }) => value), ...sums.map(({ value }) => value), ...scanned.map(({ of }) => of.value)],
    {
      body: { kind: 'graph', value: reversed },
      num_scan_inputs: int(scanned.length),
      scan_input_axes: ints(scanned.map(({ of }) => of.axis)),
      scan_input_directions: ints(scanned.map(({ of }) => of.direction)),
      // A slice's gradient goes where the slice came from: read backwards now, so put in front.
      ...(backSlices.length === 0
        ? {}
        : {
            scan_output_axes: ints(backSlices.map(({ axis }) => axis)),
            scan_output_directions: ints(backSlices.map(({ direction }) => 1 - direction)),
          }),
    },
    {
      outputs: float.length + captured.length + wantedSlices.length,
      facts: [
        ...float.map((index) => ({ type: b.type(states[index]!.first), dims: b.dims(states[index]!.first) })),
        ...captured.map((value) => ({ type: b.type(value), dims: b.dims(value) })),
        ...backSlices.map(({ value }) => ({ type: b.type(value), dims: b.dims(value) })),
      ],
    },
  );
  const [afterStates, afterSums] = [float.length, float.length + captured.length];
  return {
    states: new Map(float.map((index, at) => [index, outputs[at]!])),
    captured: new Map(captured.map((value, at) => [value, outputs[afterStates + at]!])),
    slices: new Map(wantedSlices.map((index, at) => [index, outputs[afterSums + at]!])),
  };
}

/** The node with a stacked output more for each state: its value at the start of every iteration. */
function withHistories(
  b: GraphBuilder,
  node: Node,
  body: Graph,
  states: readonly ValueInfo[],
): { node: Node; histories: ValueName[] } {
  if (states.length === 0) return { node, histories: [] };
  const scope = b.unusedName('onnxray/history');
  const inner = states.map((info, index) => ({ ...info, name: `${scope}/${index}:0` }));
  const copies = states.map(({ name }, index): Node => ({
    name: `${scope}/${index}`,
    operator: 'Identity',
    domain: '',
    inputs: [name],
    outputs: [inner[index]!.name],
    attributes: {},
  }));
  const histories = states.map((_, index) => `${scope}/all_${index}`);
  const outputs = [...node.outputs];
  while (outputs.length < body.outputs.length - (node.operator === 'Loop' ? 1 : 0)) outputs.push('');
  const extended = (name: string) => {
    const values = intsAttribute(node, name);
    return values === undefined ? {} : { [name]: ints([...values, ...states.map(() => 0)]) };
  };
  const changed: Node = {
    ...node,
    outputs: [...outputs, ...histories],
    attributes: {
      ...node.attributes,
      ...extended('scan_output_axes'),
      ...extended('scan_output_directions'),
      body: {
        kind: 'graph',
        value: { ...body, nodes: [...body.nodes, ...copies], outputs: [...body.outputs, ...inner] },
      },
    },
  };
  b.replaceProducer(
    node.outputs.find((name) => name !== '')!,
    changed,
  );
  return { node: changed, histories };
}

function refuseSequences(node: Node, body: Graph): void {
  for (const { name } of body.inputs)
    if (body.otherTypes.get(name)?.value.case !== undefined)
      throw new UserError(
        `${node.operator} "${nodeLabel(node)}" carries a sequence from one iteration to the next: no gradient rule`,
      );
}

/** What a state was at the start of each iteration is stacked, which takes one shape of all. */
function refuseGrowth(b: GraphBuilder, node: Node, body: Graph, inside: readonly ValueInfo[]): void {
  const first = inside.map(({ name }, index) => [name, b.facts(node.inputs[2 + index]!)] as const);
  const known = new Map(first.flatMap(([name, facts]) => (facts ? [[name, { ...facts, values: undefined }]] : [])));
  const after = inferGraph(body, b.opset, b, known);
  inside.forEach(({ name }, index) => {
    const [before, next] = [known.get(name)?.dims, after.get(body.outputs[1 + index]!.name)?.dims];
    if (isStatic(before) && isStatic(next) && before.join() !== next.join())
      throw new UserError(
        `Loop "${nodeLabel(node)}": "${name}" has dims [${before.join(', ')}] in one iteration and [${next.join(', ')}] in the next: no gradient rule`,
      );
  });
}

const scan: Rule = (b, node, gradients, context) => {
  const body = subgraph(b, node, 'body');
  refuseSequences(node, body);
  const sliceCount = intAttribute(node, 'num_scan_inputs', 0);
  const count = body.inputs.length - sliceCount;
  const wrt = wantedFloats(b, valuesCaptured(node), context);
  const positive = (axis: number, value: ValueName) => (axis < 0 ? axis + b.rank(value) : axis);
  const slices = body.inputs.slice(count).map((inside, index) => {
    const value = node.inputs[count + index]!;
    const axis = positive(intsAttribute(node, 'scan_input_axes')?.[index] ?? 0, value);
    return { inside, of: { value, axis, direction: intsAttribute(node, 'scan_input_directions')?.[index] ?? 0 } };
  });
  const wantedSlices = slices.flatMap(({ of }, index) =>
    isFloat(b.type(of.value)) && context.wanted(of.value) ? [index] : [],
  );
  let made: Reversed | undefined;
  const build = () => {
    if (made !== undefined) return made;
    const extended = withHistories(b, node, body, body.inputs.slice(0, count));
    const stacked = body.outputs.slice(count).map((_, index) => ({
      bodyOutput: count + index,
      output: count + index,
      slicing: {
        axis: stackedAxis(b, node, index, count),
        direction: intsAttribute(node, 'scan_output_directions')?.[index] ?? 0,
      },
    }));
    const states = body.inputs
      .slice(0, count)
      .map((inside, index) => ({ inside, first: node.inputs[index]!, out: index }));
    const iteration = { node: extended.node, body, states, histories: extended.histories, slices, stacked };
    made = reverse(b, iteration, gradients, wrt, wantedSlices, context);
    return made;
  };
  return [
    ...node.inputs.map((_, index): Pullback | undefined => {
      if (index < count) return isFloat(b.type(node.inputs[index]!)) ? () => build().states.get(index)! : undefined;
      return wantedSlices.includes(index - count) ? () => build().slices.get(index - count)! : undefined;
    }),
    ...capturedPullbacks(node, wrt, () => build().captured),
  ];
};

function stackedAxis(b: GraphBuilder, node: Node, index: number, count: number): number {
  const axis = intsAttribute(node, 'scan_output_axes')?.[index] ?? 0;
  return axis < 0 ? axis + b.rank(node.outputs[count + index]!) : axis;
}

/** Whether a loop is known to have a first iteration: onnxruntime's Scan, which runs it backwards, takes none of length 0. */
function runsAtLeastOnce(b: GraphBuilder, node: Node): boolean {
  const [count, condition] = node.inputs;
  const known = (value: ValueName | undefined) => (value ? b.numbers(value)?.[0] : 1);
  return (known(count) ?? 0) >= 1 && known(condition) === 1;
}

/** The reverse pass where there were iterations; where there were none, states pass their gradients on and nothing was read. */
function unlessEmpty(
  b: GraphBuilder,
  anyStacked: ValueName,
  { states }: Iteration,
  gradients: readonly (ValueName | undefined)[],
  captured: readonly ValueName[],
  back: (inner: GraphBuilder) => Reversed,
): Reversed {
  const float = states.map((_, index) => index).filter((index) => isFloat(b.type(states[index]!.first)));
  const branches = {
    then_branch: b.subgraph([], (inner) => {
      const reversed = back(inner);
      return [
        ...float.map((index) => reversed.states.get(index)!),
        ...captured.map((value) => reversed.captured.get(value)!),
      ];
    }),
    else_branch: b.subgraph([], (inner) => [
      ...float.map((index) => gradients[index] ?? inner.zerosLike(states[index]!.first)),
      ...captured.map((value) => inner.zerosLike(value)),
    ]),
  };
  const any = b.greater(b.dimension(anyStacked, 0), b.int64s([0]));
  const values = [...float.map((index) => states[index]!.first), ...captured];
  const outputs = b.emit(
    'If',
    [any],
    {
      then_branch: { kind: 'graph', value: branches.then_branch },
      else_branch: { kind: 'graph', value: branches.else_branch },
    },
    { outputs: values.length, facts: values.map((value) => ({ type: b.type(value), dims: b.dims(value) })) },
  );
  return {
    states: new Map(float.map((index, at) => [index, outputs[at]!])),
    captured: new Map(captured.map((value, at) => [value, outputs[float.length + at]!])),
    slices: new Map(),
  };
}

const loop: Rule = (b, node, gradients, context) => {
  const body = subgraph(b, node, 'body');
  refuseSequences(node, body);
  const inside = body.inputs.slice(2);
  refuseGrowth(b, node, body, inside);
  const wrt = wantedFloats(b, valuesCaptured(node), context);
  let made: Reversed | undefined;
  const build = () => {
    if (made !== undefined) return made;
    const extended = withHistories(b, node, body, inside);
    // As many iterations as there were: what is stacked tells.
    const anyStacked = extended.histories[0] ?? node.outputs.find((name) => name !== '')!;
    const counter = { inside: body.inputs[0]!, of: { value: b.positions(anyStacked, 0), axis: 0, direction: 0 } };
    const stacked = body.outputs.slice(1 + inside.length).map((_, index) => ({
      bodyOutput: 1 + inside.length + index,
      output: inside.length + index,
      slicing: { axis: 0, direction: 0 },
    }));
    const states = inside.map((info, index) => ({ inside: info, first: node.inputs[2 + index]!, out: 1 + index }));
    const condition = body.inputs[1]!.name;
    const prepare = (inner: GraphBuilder) => void inner.rename(inner.constant('bool', [], [1]), condition);
    const iteration = {
      node: extended.node,
      body,
      states,
      histories: extended.histories,
      slices: [counter],
      stacked,
      prepare,
    };
    const back = (inner: GraphBuilder) => reverse(inner, iteration, gradients, wrt, [], context);
    made = runsAtLeastOnce(b, node) ? back(b) : unlessEmpty(b, anyStacked, iteration, gradients, wrt, back);
    return made;
  };
  return [
    undefined,
    undefined,
    ...inside.map((_, index) =>
      isFloat(b.type(node.inputs[2 + index]!)) ? () => build().states.get(index)! : undefined,
    ),
    ...capturedPullbacks(node, wrt, () => build().captured),
  ];
};

export const control = { If: branch, Scan: scan, Loop: loop } satisfies Readonly<Record<string, Rule>>;
