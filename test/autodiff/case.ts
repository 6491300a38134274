/** One operator with inputs and attributes, as a model whose gradient can be checked. */
import type { Attribute, DataType, DenseTensor, Dim, Model, NamedTensors, Node } from '../../src/onnx/index.ts';
import { int, normalizeModel, numbersToData, numbersWeight, sizeOf, tensorWeight } from '../../src/onnx/index.ts';
import { chance, hash, makeModel, makeNode } from '../models.ts';

/** `float` is float64 or float32, as the check says. */
type ElementType = DataType | 'float';

export interface CaseInput {
  readonly type: ElementType;
  readonly dims: readonly number[];
  /** `constant`: an initializer. `data`: given at run time. `variable`: given at run time and differentiated. */
  readonly role: 'constant' | 'data' | 'variable';
  readonly values?: readonly number[];
  readonly range?: readonly [number, number];
  /** Points at which the operator has a kink: random values keep a distance. */
  readonly away?: readonly number[];
  /** Dimensions stay numbers even where the others are symbolic: weights. */
  readonly fixed?: boolean;
}

export interface Case {
  readonly operator: string;
  readonly name: string;
  readonly inputs: readonly (CaseInput | undefined)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly opset?: number;
  readonly domain?: string;
  /** Differentiable outputs; 1 unless said. */
  readonly outputs?: number;
  /** Outputs after these, which are not differentiable. */
  readonly extraOutputs?: number;
  /** The output is not of floats and is cast to them. */
  readonly cast?: boolean;
  /** Why it is checked in float32 although the operator has a float64 kernel. */
  readonly float32?: string;
  /** Why only the first derivative is checked. */
  readonly firstOrder?: string;
  /** Linear in its inputs: the step of the differences can be large. */
  readonly linear?: boolean;
  /** Only with static dims, and why. */
  readonly staticOnly?: string;
}

type Options = Omit<Case, 'operator' | 'name' | 'inputs' | 'attributes'>;

export function one(
  operator: string,
  name: string,
  inputs: readonly (CaseInput | undefined)[],
  attributes: Readonly<Record<string, Attribute>> = {},
  options: Options = {},
): Case {
  return { operator, name, inputs, attributes, ...options };
}

/** A differentiated input of random numbers. */
export const x = (dims: readonly number[], options: Partial<CaseInput> = {}): CaseInput => ({
  type: 'float',
  dims,
  role: 'variable',
  ...options,
});
/** A differentiated input whose shape is always known, as a weight's is. */
export const w = (dims: readonly number[], options: Partial<CaseInput> = {}): CaseInput =>
  x(dims, { fixed: true, ...options });
/** Values of which no two are close, in random order. */
export const distinct = (dims: readonly number[]): CaseInput => {
  const random = chance(sizeOf(dims));
  const order = Array.from({ length: sizeOf(dims) }, (_, at) => ({ at, key: random() }));
  const values = order.sort((left, right) => left.key - right.key).map(({ at }) => 0.25 * at - 1);
  return x(dims, { values });
};
/** An int64 initializer; a number alone is a scalar. */
export const i = (values: readonly number[] | number, dims?: readonly number[]): CaseInput => ({
  type: 'int64',
  role: 'constant',
  values: typeof values === 'number' ? [values] : values,
  dims: dims ?? (typeof values === 'number' ? [] : [values.length]),
});
/** int64 values known only at run time; how many is known. */
export const late = (values: readonly number[] | number, dims?: readonly number[]): CaseInput => ({
  ...i(values, dims),
  role: 'data',
  fixed: true,
});
/** int64 values of which neither value nor number is known. */
export const ids = (values: readonly number[] | number, dims?: readonly number[]): CaseInput => ({
  ...i(values, dims),
  role: 'data',
});
/** A constant of floats. */
export const k = (values: readonly number[] | number, dims?: readonly number[]): CaseInput => ({
  ...i(values, dims),
  type: 'float',
});
export const typed = (type: DataType, dims: readonly number[], values: readonly number[]): CaseInput => ({
  type,
  dims,
  values,
  role: 'constant',
});

/** How much a graph knows of its inputs' shapes. */
export const SHAPES = ['static', 'named', 'unknown'] as const;
export type Shapes = (typeof SHAPES)[number];
export type Precision = 'float32' | 'float64';

function caseDims({ dims, fixed }: CaseInput, shapes: Shapes): readonly Dim[] {
  if (shapes === 'static' || fixed) return dims;
  return dims.map((dim) => (shapes === 'named' ? `n${dim}` : undefined));
}

const resolve = (type: ElementType, precision: Precision): DataType => (type === 'float' ? precision : type);

export const inputName = (index: number) => `x${index}`;

/** The inputs that are differentiated. */
export function variables(c: Case): string[] {
  return c.inputs.flatMap((input, index) => (input?.role === 'variable' ? [inputName(index)] : []));
}

/** The case as a model with the output `y`; several outputs are flattened and joined. */
export function caseModel(c: Case, precision: Precision, shapes: Shapes): Model {
  const inputs = c.inputs.flatMap((input, index) =>
    input === undefined || input.role === 'constant'
      ? []
      : [{ name: inputName(index), type: resolve(input.type, precision), dims: caseDims(input, shapes) }],
  );
  const initializers = c.inputs.flatMap((input, index) =>
    input?.role === 'constant'
      ? [[inputName(index), numbersWeight(resolve(input.type, precision), input.dims, input.values!)] as const]
      : [],
  );
  const count = c.outputs ?? 1;
  const outputs = Array.from({ length: count + (c.extraOutputs ?? 0) }, (_, index) => `out${index}`);
  const names = c.inputs.map((input, index) => (input === undefined ? '' : inputName(index)));
  const plain = count === 1 && !c.cast;
  const nodes: Node[] = [
    makeNode(c.operator, names, plain ? ['y', ...outputs.slice(1)] : outputs, c.attributes, c.domain),
  ];
  if (c.cast) nodes.push(makeNode('Cast', ['out0'], ['y'], { to: int(precision === 'float64' ? 11 : 1) }));
  else if (count > 1) {
    const flat = outputs.slice(0, count).map((output) => `${output}_flat`);
    flat.forEach((name, index) => nodes.push(makeNode('Reshape', [outputs[index]!, 'flat_shape'], [name])));
    nodes.push(makeNode('Concat', flat, ['y'], { axis: int(0) }));
  }
  return normalizeModel(
    makeModel({
      inputs,
      outputs: [{ name: 'y', type: precision, dims: undefined }],
      nodes,
      initializers: [
        ...initializers,
        ['flat_shape', tensorWeight({ type: 'int64', dims: [1], data: BigInt64Array.of(-1n) })] as const,
      ],
      opset: c.opset ?? 18,
    }),
  );
}

/** Values for a case's inputs, the same every time. */
export function caseFeeds(c: Case, precision: Precision): NamedTensors {
  const random = chance(hash(`${c.operator} ${c.name}`));
  const feeds: Record<string, DenseTensor> = {};
  c.inputs.forEach((input, index) => {
    if (input === undefined || input.role === 'constant') return;
    const type = resolve(input.type, precision);
    const draw = (): number => {
      const value = random(...(input.range ?? [-1.5, 1.5]));
      return input.away?.some((kink) => Math.abs(value - kink) < 0.2) ? draw() : value;
    };
    const values = input.values ?? Array.from({ length: sizeOf(input.dims) }, draw);
    feeds[inputName(index)] = { type, dims: input.dims, data: numbersToData(type, values) };
  });
  return feeds;
}
