import { create, fromBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as Kind,
  ModelProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
  TypeProtoSchema,
} from 'onnx-buf';
import type {
  AttributeProto,
  GraphProto,
  NodeProto,
  SparseTensorProto,
  TensorProto,
  TypeProto,
  ValueInfoProto,
} from 'onnx-buf';
import { UserError } from './errors.ts';
import { externalStorage } from './external.ts';
import type { Attribute, Graph, Model, Node, Weight } from './model.ts';
import { inOrder } from './order.ts';
import { withScopes } from './scopes.ts';
import { denseWeight } from './sparse.ts';
import type { DataType, DenseTensor, Dim, ValueInfo } from './tensor.ts';
import { sizeOf } from './tensor.ts';
import { byteLength, numbersToData, tensorWeight, weightTensor } from './weight.ts';

/** ONNX's TensorProto.DataType numbers. */
export const TYPE_BY_NUMBER: Readonly<Record<number, DataType>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
  24: 'float8e8m0',
  25: 'uint2',
  26: 'int2',
};

/** ONNX's TensorProto.DataType numbers by name. */
export const TYPE_NUMBERS = Object.fromEntries(
  Object.entries(TYPE_BY_NUMBER).map(([number, type]) => [type, Number(number)]),
) as Readonly<Record<DataType, number>>;

/**
 * Reads an .onnx file's bytes. Weights stay views on `bytes`: nothing is copied, so keep it unchanged.
 * Throws a UserError when the bytes are not an ONNX model, or one that contradicts itself.
 */
export function readModel(bytes: Uint8Array): Model {
  const proto = decode(bytes);
  if (proto.graph === undefined) throw new UserError('not an ONNX model: it has no graph');
  if (proto.opsetImport.length === 0) throw new UserError('not an ONNX model: it names no operator set');
  const model: Model = {
    irVersion: Number(proto.irVersion),
    producer: [proto.producerName, proto.producerVersion].filter(Boolean).join(' '),
    opsets: new Map(proto.opsetImport.map(({ domain, version }) => [cleanDomain(domain), Number(version)])),
    graph: readGraph(proto.graph, bytes),
    functions: proto.functions,
    metadata: new Map(proto.metadataProps.map(({ key, value }) => [key, value])),
  };
  checkNames(model.graph, new Set());
  return model;
}

function decode(bytes: Uint8Array) {
  if (bytes.length === 0) throw new UserError('not an ONNX model: the file is empty');
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch {
    // Any failure of the protobuf decoder means the same to a person: these bytes are no (whole) model.
    throw new UserError('not an ONNX model: the file is truncated, corrupt or of another format');
  }
}

/** `ai.onnx` and the empty domain are the same one. */
function cleanDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

/** Graphs within graphs deeper than any real model's would overflow the stack of the passes. */
const DEEPEST = 16;

function readGraph(proto: GraphProto, file: Uint8Array, depth = 0): Graph {
  if (depth > DEEPEST) throw new UserError(`not a valid ONNX model: graphs within graphs more than ${DEEPEST} deep`);
  const initializers = new Map([
    ...proto.initializer.map((tensor) => [tensor.name, readWeight(tensor, file)] as const),
    ...proto.sparseInitializer.map((tensor) => [tensor.values?.name ?? '', readSparse(tensor, file)] as const),
  ]);
  const otherTypes = new Map<string, TypeProto>();
  const infos = (list: ValueInfoProto[]) => list.map((info) => readValueInfo(info, otherTypes));
  return {
    name: proto.name,
    // Before IR 4 every initializer was listed among the inputs; those are weights, not something to ask for.
    inputs: infos(proto.input).filter(({ name }) => !initializers.has(name)),
    outputs: infos(proto.output),
    nodes: inOrder(withScopes(proto.node, (node) => readNode(node, file, depth))),
    initializers,
    valueInfos: new Map(infos(proto.valueInfo).map((info) => [info.name, info])),
    otherTypes,
  };
}

function readValueInfo({ name, type }: ValueInfoProto, otherTypes: Map<string, TypeProto>): ValueInfo {
  const value = type?.value;
  if (value?.case !== 'tensorType') {
    // A value without a type, which subgraphs may have, is written without one again.
    otherTypes.set(name, type ?? create(TypeProtoSchema));
    return { name, type: 'float32', dims: undefined };
  }
  const dims = value.value.shape?.dim.map((dim): Dim => {
    // Some exporters write -1 for a dimension that is not fixed; one beyond 2^53 is none that anything could have.
    if (dim.value.case === 'dimValue')
      return dim.value.value < 0n || dim.value.value > Number.MAX_SAFE_INTEGER ? undefined : Number(dim.value.value);
    return dim.value.case === 'dimParam' && dim.value.value !== '' ? dim.value.value : undefined;
  });
  return { name, type: readType(value.value.elemType, name), dims };
}

function readType(number: number, name: string): DataType {
  const type = TYPE_BY_NUMBER[number];
  if (type === undefined)
    throw new UserError(`not a valid ONNX model: "${name}" has the unknown element type ${number}`);
  return type;
}

export function readNode(proto: NodeProto, file: Uint8Array, depth: number): Node {
  return {
    name: proto.name,
    operator: proto.opType,
    domain: cleanDomain(proto.domain),
    ...(proto.overload === '' ? {} : { overload: proto.overload }),
    inputs: proto.input,
    outputs: proto.output,
    attributes: Object.fromEntries(
      proto.attribute.map((attribute) => [
        // Sparse constants are dense from here on.
        attribute.name === 'sparse_value' ? 'value' : attribute.name,
        readAttribute(attribute, file, depth),
      ]),
    ),
  };
}

export function readAttribute(proto: AttributeProto, file: Uint8Array, depth: number): Attribute {
  if (proto.refAttrName !== '') return { kind: 'opaque', value: proto };
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  switch (proto.type) {
    case Kind.INT:
      return { kind: 'int', value: Number(proto.i) };
    case Kind.FLOAT:
      return { kind: 'float', value: proto.f };
    case Kind.STRING:
      return { kind: 'string', value: text(proto.s) };
    case Kind.INTS:
      return { kind: 'ints', value: proto.ints.map(Number) };
    case Kind.FLOATS:
      return { kind: 'floats', value: proto.floats };
    case Kind.STRINGS:
      return { kind: 'strings', value: proto.strings.map(text) };
    case Kind.TENSOR:
      return proto.t ? { kind: 'tensor', value: readWeight(proto.t, file) } : { kind: 'opaque', value: proto };
    case Kind.SPARSE_TENSOR:
      return proto.sparseTensor
        ? { kind: 'tensor', value: readSparse(proto.sparseTensor, file) }
        : { kind: 'opaque', value: proto };
    case Kind.GRAPH:
      return proto.g ? { kind: 'graph', value: readGraph(proto.g, file, depth + 1) } : { kind: 'opaque', value: proto };
    default:
      return { kind: 'opaque', value: proto };
  }
}

function readSparse({ values, indices, dims }: SparseTensorProto, file: Uint8Array): Weight {
  if (values === undefined || indices === undefined)
    throw new UserError('not a valid ONNX model: a sparse weight has no values or no indices');
  return denseWeight(values.name, readWeight(values, file), readWeight(indices, file), readDims(values.name, dims));
}

function readDims(name: string, given: readonly bigint[]): number[] {
  const dims = given.map(Number);
  // Each on its own too: a zero among them makes any product possible.
  if (!dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0) || !Number.isSafeInteger(sizeOf(dims)))
    throw new UserError(`not a valid ONNX model: weight "${name}" has the impossible dims [${dims.join(', ')}]`);
  return dims;
}

function readWeight(proto: TensorProto, file: Uint8Array): Weight {
  const type = readType(proto.dataType, proto.name);
  const dims = readDims(proto.name, proto.dims);
  if (proto.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
    const location = entries.get('location');
    if (location === undefined)
      throw new UserError(`not a valid ONNX model: "${proto.name}" is external but names no file`);
    return { type, dims, storage: externalStorage(proto.name, location, entries.get('offset'), entries.get('length')) };
  }
  if (type === 'string') {
    const strings = proto.stringData.map((bytes) => new TextDecoder().decode(bytes));
    return { type, dims, storage: { kind: 'strings', strings } };
  }
  const expected = byteLength(type, dims);
  if (proto.rawData.length > 0 || expected === 0) {
    if (proto.rawData.length !== expected)
      throw new UserError(
        `not a valid ONNX model: weight "${proto.name}" of dims [${dims.join(', ')}] needs ${expected} bytes but has ${proto.rawData.length}`,
      );
    const inFile = proto.rawData.buffer === file.buffer;
    const fileOffset = inFile ? proto.rawData.byteOffset - file.byteOffset : undefined;
    return {
      type,
      dims,
      storage: { kind: 'bytes', bytes: proto.rawData, ...(fileOffset === undefined ? {} : { fileOffset }) },
    };
  }
  return tensorWeight({ type, dims, data: numbersOf(proto, type, sizeOf(dims)) });
}

/** Values kept in the typed fields of older or hand-made files. 16-bit floats are stored there as raw words. */
function numbersOf(proto: TensorProto, type: DataType, size: number): NonNullable<ReturnType<typeof numbersToData>> {
  const fields = [proto.floatData, proto.int32Data, proto.int64Data, proto.doubleData, proto.uint64Data];
  const values = fields.find((field) => field.length > 0) ?? [];
  const count = type === 'complex64' || type === 'complex128' ? size * 2 : size;
  // Types of fewer than 8 bits are packed into bytes, one byte a field.
  const packed = /^(u?int[24]|float4.*)$/.test(type);
  if (values.length !== (packed ? byteLength(type, [size]) : count))
    throw new UserError(
      `not a valid ONNX model: weight "${proto.name}" needs ${count} values but has ${values.length}`,
    );
  if (type === 'int64') return BigInt64Array.from(proto.int64Data);
  if (type === 'uint64') return BigUint64Array.from(proto.uint64Data);
  if (type === 'float16' || type === 'bfloat16') return Uint16Array.from(proto.int32Data);
  if (type === 'complex64') return Float32Array.from(proto.floatData);
  if (type === 'complex128') return Float64Array.from(proto.doubleData);
  if (packed || type.startsWith('float8')) return Uint8Array.from(proto.int32Data);
  return numbersToData(type, values.map(Number));
}

/** Every value a node uses must exist by then: a file that breaks this is corrupt, and onnxruntime's words for it are not kind. */
function checkNames(graph: Graph, outer: ReadonlySet<string>): void {
  const known = new Set([...outer, ...graph.inputs.map(({ name }) => name), ...graph.initializers.keys()]);
  for (const node of graph.nodes) {
    for (const input of node.inputs)
      if (input !== '' && !known.has(input))
        throw new UserError(
          `not a valid ONNX model: node "${node.name || node.operator}" reads "${input}", which nothing before it produces`,
        );
    for (const attribute of Object.values(node.attributes))
      if (attribute.kind === 'graph') checkNames(attribute.value, known);
    for (const output of node.outputs) {
      if (output !== '' && known.has(output) && !outer.has(output))
        throw new UserError(`not a valid ONNX model: the value "${output}" is produced twice`);
      known.add(output);
    }
  }
  for (const { name } of graph.outputs)
    if (!known.has(name)) throw new UserError(`not a valid ONNX model: nothing produces the output "${name}"`);
}

/** Reads one tensor as ONNX's tests and tools store it (`.pb`). Throws a UserError when it is none. */
export function readTensor(bytes: Uint8Array): DenseTensor {
  let proto: TensorProto;
  try {
    proto = fromBinary(TensorProtoSchema, bytes);
  } catch {
    throw new UserError('not an ONNX tensor: the file is truncated, corrupt or of another format');
  }
  const tensor = weightTensor(readWeight(proto, bytes));
  if (tensor === undefined) throw new UserError('the tensor keeps its values in another file');
  return tensor;
}
