/** Cases for operators that ONNX's node tests leave out, or give integers only. */
import type { Attribute, DenseTensor, Model, Node, ValueInfo } from '../src/onnx/index.ts';
import { float, int, ints, numbersToData, numbersWeight, sizeOf, string, writeModel } from '../src/onnx/index.ts';
import type { CaseFiles } from './corpus.ts';
import { chance } from './numbers.ts';

interface OwnCase {
  /** The operator the case is of; its only node unless `nodes` has others. */
  readonly operator: string;
  readonly domain?: string;
  /** From the inputs x0, x1, ... to y. */
  readonly nodes?: readonly Node[];
  /** Names of the outputs, `y` among them. */
  readonly outputs?: readonly ValueInfo[];
  readonly inputs: readonly { readonly dims: readonly number[]; readonly values?: readonly number[] }[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

const node = (
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, Attribute>> = {},
): Node => ({ name: `${operator}_${output}`, operator, domain: '', inputs, outputs: [output], attributes });
const place = (value: number): Node =>
  node('Constant', [], `place${value}`, { value: { kind: 'tensor', value: numbersWeight('int64', [], [value]) } });

/** A sequence of two inputs, what happens to it, and the square of what comes out, so that there is a second derivative. */
const sequence = (operator: string, ...nodes: readonly Node[]): OwnCase => ({
  operator,
  inputs: [{ dims: [2, 3] }, { dims: [2, 3] }],
  nodes: [place(0), place(1), node('SequenceConstruct', ['x0', 'x1'], 's'), ...nodes, node('Mul', ['t', 't'], 'y')],
});

const classifier = (operator: string, attributes: Readonly<Record<string, Attribute>>): OwnCase => ({
  operator,
  domain: 'ai.onnx.ml',
  inputs: [{ dims: [2, 3] }],
  outputs: [
    { name: 'label', type: 'int64', dims: undefined },
    { name: 'y', type: 'float32', dims: undefined },
  ],
  attributes: { classlabels_ints: ints([0, 1, 2]), post_transform: string('SOFTMAX'), ...attributes },
});

const floats = (values: readonly number[]): Attribute => ({ kind: 'floats', value: values });

/** Of rank 2 with its first columns equal, and of rank 1: the adjugate of the one is not zero, that of the other is. */
const SINGULAR = [1, 1, 2, 3, 3, 1, -2, -2, 5, 1, 2, 3, 2, 4, 6, -1, -2, -3];

const OWN_CASES: Readonly<Record<string, OwnCase>> = {
  own_globallppool: { operator: 'GlobalLpPool', inputs: [{ dims: [2, 3, 4, 5] }] },
  own_globallppool_p3: { operator: 'GlobalLpPool', inputs: [{ dims: [2, 3, 4] }], attributes: { p: int(3) } },
  own_maxroipool: {
    operator: 'MaxRoiPool',
    inputs: [{ dims: [2, 3, 6, 7] }, { dims: [2, 5], values: [0, 0, 1, 4, 5, 1, 2, 0, 6, 3] }],
    attributes: { pooled_shape: ints([2, 3]), spatial_scale: float(0.9) },
  },
  own_trilu_lower: { operator: 'Trilu', inputs: [{ dims: [2, 4, 5] }], attributes: { upper: int(0) } },
  own_trilu_upper: { operator: 'Trilu', inputs: [{ dims: [4, 4] }] },
  own_scaler: {
    operator: 'Scaler',
    domain: 'ai.onnx.ml',
    inputs: [{ dims: [2, 3] }],
    attributes: { offset: floats([1, 2, 3]), scale: floats([0.5, 2, -1]) },
  },
  own_linear_regressor: {
    operator: 'LinearRegressor',
    domain: 'ai.onnx.ml',
    inputs: [{ dims: [2, 3] }],
    attributes: { coefficients: floats([1, 2, 3, 4, 5, 6]), intercepts: floats([0.5, -1]), targets: int(2) },
  },
  ...Object.fromEntries(
    (['LINEAR', 'POLY', 'RBF', 'SIGMOID'] as const).map((kernel) => [
      `own_svm_regressor_${kernel.toLowerCase()}`,
      {
        operator: 'SVMRegressor',
        domain: 'ai.onnx.ml',
        inputs: [{ dims: [2, 3] }],
        attributes: {
          kernel_type: string(kernel),
          kernel_params: floats([0.4, 1.5, 3]),
          support_vectors: floats([1, 0.5, -1, 0.3, 0.2, 0.8]),
          coefficients: floats([0.7, -1.2]),
          n_supports: int(2),
          rho: floats([0.1]),
        },
      },
    ]),
  ),
  own_sequence_construct: sequence('SequenceConstruct', node('ConcatFromSequence', ['s'], 't', { axis: int(1) })),
  own_concat_from_sequence: sequence(
    'ConcatFromSequence',
    node('ConcatFromSequence', ['s'], 't', { axis: int(0), new_axis: int(1) }),
  ),
  own_sequence_at: sequence('SequenceAt', node('SequenceAt', ['s', 'place1'], 't')),
  own_sequence_insert: sequence(
    'SequenceInsert',
    node('SequenceInsert', ['s', 'x1', 'place0'], 'longer'),
    node('ConcatFromSequence', ['longer'], 't', { axis: int(0) }),
  ),
  own_sequence_erase: sequence(
    'SequenceErase',
    node('SequenceErase', ['s', 'place0'], 'shorter'),
    node('SequenceAt', ['shorter', 'place0'], 't'),
  ),
  own_split_to_sequence: sequence(
    'SplitToSequence',
    node('SplitToSequence', ['x0'], 'rows', { axis: int(0) }),
    node('SequenceAt', ['rows', 'place1'], 't'),
  ),
  own_optional: {
    operator: 'Optional',
    inputs: [{ dims: [2, 3] }],
    nodes: [node('Optional', ['x0'], 'o'), node('OptionalGetElement', ['o'], 't'), node('Mul', ['t', 't'], 'y')],
  },
  own_linear_classifier: classifier('LinearClassifier', {
    coefficients: floats([0.5, -1, 2, 0.3, 0.7, -0.2, -1, 1, 0.1]),
    intercepts: floats([0.1, -0.2, 0.3]),
  }),
  own_svm_classifier: classifier('SVMClassifier', {
    kernel_type: string('RBF'),
    kernel_params: floats([0.4, 0, 0]),
    support_vectors: floats([1, 0.5, -1, 0.3, 0.2, 0.8, -0.7, 0.4, 0.9]),
    coefficients: floats([0.7, -1.2, 0.4, 0.3, 0.9, -0.6]),
    vectors_per_class: ints([1, 1, 1]),
    rho: floats([0.1, -0.2, 0.3]),
  }),
  own_det_singular: { operator: 'Det', inputs: [{ dims: [2, 3, 3], values: SINGULAR }] },
  own_normalizer_l2: {
    operator: 'Normalizer',
    domain: 'ai.onnx.ml',
    inputs: [{ dims: [2, 3] }],
    attributes: { norm: string('L2') },
  },
  own_normalizer_max: { operator: 'Normalizer', domain: 'ai.onnx.ml', inputs: [{ dims: [2, 3] }] },
  own_feature_vectorizer: {
    operator: 'FeatureVectorizer',
    domain: 'ai.onnx.ml',
    inputs: [{ dims: [2, 3] }, { dims: [2, 2] }],
    attributes: { inputdimensions: ints([3, 2]) },
  },
  own_imputer: {
    operator: 'Imputer',
    domain: 'ai.onnx.ml',
    inputs: [{ dims: [1, 3], values: [1, 0, 2] }],
    attributes: { imputed_value_floats: floats([4, 5, 6]), replaced_value_float: float(0) },
  },
};

export const ownCaseNames = (): string[] => Object.keys(OWN_CASES);

export function ownCase(name: string): CaseFiles | undefined {
  const own = OWN_CASES[name];
  if (own === undefined) return undefined;
  const random = chance(name);
  const inputs = own.inputs.map(({ dims, values }): DenseTensor => {
    const list = values ?? Array.from({ length: sizeOf(dims) }, random);
    return { type: 'float32', dims, data: numbersToData('float32', list) };
  });
  const names = inputs.map((_, index) => `x${index}`);
  const { operator, domain = '', attributes = {} } = own;
  const outputs = own.outputs ?? [{ name: 'y', type: 'float32', dims: undefined }];
  const whole: Node = {
    name: operator,
    operator,
    domain,
    inputs: names,
    outputs: outputs.map((output) => output.name),
    attributes,
  };
  const model: Model = {
    irVersion: 8,
    producer: 'onnxray',
    opsets: new Map([
      ['', 18],
      ['ai.onnx.ml', 3],
    ]),
    graph: {
      name,
      inputs: inputs.map(({ type, dims }, index) => ({ name: names[index]!, type, dims })),
      outputs,
      nodes: own.nodes ?? [whole],
      initializers: new Map(),
      valueInfos: new Map(),
      otherTypes: new Map(),
    },
    functions: [],
    metadata: new Map(),
  };
  return {
    name,
    operator: domain === '' ? operator : `${domain}::${operator}`,
    bytes: writeModel(model),
    inputs,
    outputs: [],
  };
}
