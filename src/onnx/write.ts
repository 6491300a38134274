import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as Kind,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import type { AttributeProto, GraphProto, TensorProto, ValueInfoProto } from 'onnx-buf';
import type { Parts } from './frames.ts';
import { field, joined } from './frames.ts';
import type { Attribute, Graph, Model, Weight } from './model.ts';
import { TYPE_NUMBERS } from './read.ts';
import type { DataType, ValueInfo } from './tensor.ts';
import { toInt64 } from './weight.ts';

const numberOf = (type: DataType): number => TYPE_NUMBERS[type];

export interface WriteOptions {
  /**
   * Name of the file the model was read from. Its weights of at least 1 kB are then not written but referenced
   * where they stand in that file, so a rewritten model is a few kB; whoever loads it needs that file's folder.
   */
  readonly weightsIn?: string;
  /**
   * Initializers of the main graph that whoever runs the model may override: they are listed among the inputs as well, so
   * a runtime treats them as values and not as constants it may fold or repack. Needs IR version 4.
   */
  readonly overridable?: ReadonlySet<string>;
}

/** The model as the bytes of an .onnx file. */
export function writeModel(model: Model, options: WriteOptions = {}): Uint8Array {
  const { initializer, ...graph } = graphProto(withOverridable(model.graph, options.overridable), options);
  const head = toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: BigInt(model.irVersion),
      producerName: model.producer,
      opsetImport: Array.from(model.opsets, ([domain, version]) => ({ domain, version: BigInt(version) })),
      functions: [...model.functions],
      metadataProps: Array.from(model.metadata, ([key, value]) => ({ key, value })),
    }),
  );
  const rest = toBinary(GraphProtoSchema, { ...graph, initializer: [] });
  const weights = initializer.flatMap((tensor) => field(FIELDS.initializer, tensorParts(tensor)));
  return joined([head, ...field(FIELDS.graph, [rest, ...weights])]);
}

/** Numbers of fields whose bytes are written as they are. */
const FIELDS = {
  graph: ModelProtoSchema.field.graph.number,
  initializer: GraphProtoSchema.field.initializer.number,
  rawData: TensorProtoSchema.field.rawData.number,
};

function tensorParts(tensor: TensorProto): Parts {
  const { rawData } = tensor;
  if (rawData.length === 0) return [toBinary(TensorProtoSchema, tensor)];
  const head = toBinary(TensorProtoSchema, { ...tensor, rawData: NO_BYTES });
  return [head, ...field(FIELDS.rawData, [rawData])];
}

const NO_BYTES = new Uint8Array();

function withOverridable(graph: Graph, names: ReadonlySet<string> = new Set()): Graph {
  const infos = [...graph.initializers].filter(([name]) => names.has(name));
  return { ...graph, inputs: [...graph.inputs, ...infos.map(([name, { type, dims }]) => ({ name, type, dims }))] };
}

function graphProto(graph: Graph, options: WriteOptions): GraphProto {
  const infos = (list: Iterable<ValueInfo>) => Array.from(list, (info) => valueInfoProto(info, graph));
  return create(GraphProtoSchema, {
    name: graph.name,
    input: infos(graph.inputs),
    output: infos(graph.outputs),
    valueInfo: infos(graph.valueInfos.values()),
    initializer: Array.from(graph.initializers, ([name, weight]) => weightProto(name, weight, options)),
    node: graph.nodes.map((node) =>
      create(NodeProtoSchema, {
        name: node.name,
        opType: node.operator,
        domain: node.domain,
        ...(node.overload === undefined ? {} : { overload: node.overload }),
        input: [...node.inputs],
        output: [...node.outputs],
        attribute: Object.entries(node.attributes).map(([name, attribute]) => attributeProto(name, attribute, options)),
      }),
    ),
  });
}

function valueInfoProto({ name, type, dims }: ValueInfo, { otherTypes }: Graph): ValueInfoProto {
  const other = otherTypes.get(name);
  if (other !== undefined)
    return create(ValueInfoProtoSchema, other.value.case === undefined ? { name } : { name, type: other });
  const dim = (value: number | string | undefined) => {
    if (typeof value === 'number') return { value: { case: 'dimValue', value: BigInt(value) } as const };
    // Names that start with ? and expressions over names are ours, not the model's.
    return typeof value === 'string' && !/^[?(]/.test(value) ? { value: { case: 'dimParam', value } as const } : {};
  };
  const shape = dims === undefined ? {} : { shape: { dim: dims.map(dim) } };
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType: numberOf(type), ...shape } } },
  });
}

function attributeProto(name: string, attribute: Attribute, options: WriteOptions): AttributeProto {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const content = () => {
    switch (attribute.kind) {
      case 'int':
        return { type: Kind.INT, i: toInt64(attribute.value) };
      case 'float':
        return { type: Kind.FLOAT, f: attribute.value };
      case 'string':
        return { type: Kind.STRING, s: bytes(attribute.value) };
      case 'ints':
        return { type: Kind.INTS, ints: attribute.value.map(toInt64) };
      case 'floats':
        return { type: Kind.FLOATS, floats: [...attribute.value] };
      case 'strings':
        return { type: Kind.STRINGS, strings: attribute.value.map(bytes) };
      case 'tensor':
        return { type: Kind.TENSOR, t: weightProto('', attribute.value, options) };
      case 'graph':
        return { type: Kind.GRAPH, g: graphProto(attribute.value, options) };
      case 'opaque':
        return undefined;
    }
  };
  const fields = content();
  return fields === undefined ? (attribute.value as AttributeProto) : create(AttributeProtoSchema, { name, ...fields });
}

/** Below this many bytes a reference into another file costs more than the bytes. */
const WORTH_REFERENCING = 1024;

function weightProto(name: string, { type, dims, storage }: Weight, { weightsIn }: WriteOptions): TensorProto {
  const common = { name, dataType: numberOf(type), dims: dims.map(BigInt) };
  if (storage.kind === 'strings')
    return create(TensorProtoSchema, {
      ...common,
      stringData: storage.strings.map((text) => new TextEncoder().encode(text)),
    });
  const external = (location: string, offset: number, length: number | undefined) =>
    create(TensorProtoSchema, {
      ...common,
      dataLocation: TensorProto_DataLocation.EXTERNAL,
      externalData: [
        { key: 'location', value: location },
        { key: 'offset', value: String(offset) },
        ...(length === undefined ? [] : [{ key: 'length', value: String(length) }]),
      ],
    });
  if (storage.kind === 'external') return external(storage.location, storage.offset, storage.length);
  const { bytes, fileOffset, file } = storage;
  if (weightsIn !== undefined && fileOffset !== undefined && name !== '' && bytes.length >= WORTH_REFERENCING)
    return external(file ?? weightsIn, fileOffset, bytes.length);
  return create(TensorProtoSchema, { ...common, rawData: bytes as Uint8Array<ArrayBuffer> });
}
