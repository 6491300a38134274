/** Ways to break a model file: in its bytes, and in what they say. */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, TensorProto_DataLocation } from 'onnx-buf';
import type { AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto } from 'onnx-buf';

/** Whole numbers in [0, below), the same for the same seed (mulberry32). */
export function dice(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return Math.floor(((word ^ (word >>> 14)) >>> 0) * 2 ** -32 * below);
  };
}

export type Dice = ReturnType<typeof dice>;
type Mutation = (file: Uint8Array, roll: Dice, other: Uint8Array) => Uint8Array;

const pick = <T>(list: readonly T[], roll: Dice): T => list[roll(list.length)]!;

const bitFlips: Mutation = (file, roll) => {
  const changed = Uint8Array.from(file);
  for (let count = 1 + roll(8); count > 0; count--) changed[roll(changed.length)]! ^= 1 << roll(8);
  return changed;
};

const bytes: Mutation = (file, roll) => {
  const changed = Uint8Array.from(file);
  for (let count = 1 + roll(4); count > 0; count--) changed[roll(changed.length)] = roll(256);
  return changed;
};

const truncation: Mutation = (file, roll) => file.slice(0, roll(file.length));

/** A piece of this file or another one put somewhere, in the place of what is there or between. */
const splice: Mutation = (file, roll, other) => {
  const source = roll(2) === 0 ? file : other;
  const from = roll(source.length);
  const piece = source.subarray(from, from + roll(Math.min(512, source.length - from) + 1));
  const at = roll(file.length);
  const gone = roll(2) === 0 ? piece.length : roll(64);
  const rest = file.subarray(Math.min(file.length, at + gone));
  const changed = new Uint8Array(at + piece.length + rest.length);
  changed.set(file.subarray(0, at));
  changed.set(piece, at);
  changed.set(rest, at + piece.length);
  return changed;
};

/** Where the lengths of nested messages, strings and bytes stand: protobuf's wire type 2, as deep as it can be followed. */
function lengthFields(file: Uint8Array, from: number, to: number, depth: number, found: number[]): boolean {
  let at = from;
  const start = found.length;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 10; shift++) {
      const byte = file[at++];
      if (byte === undefined || at > to) return Number.NaN;
      value += (byte & 127) * 2 ** (7 * shift);
      if (byte < 128) return value;
    }
    return Number.NaN;
  };
  while (at < to) {
    const tag = varint();
    const wire = tag % 8;
    if (!(tag >= 8) || tag >= 2 ** 32) return (found.length = start) < 0;
    if (wire === 0) {
      if (Number.isNaN(varint())) return (found.length = start) < 0;
    } else if (wire === 1 || wire === 5) at += wire === 1 ? 8 : 4;
    else if (wire === 2) {
      const place = at;
      const length = varint();
      if (!(at + length <= to)) return (found.length = start) < 0;
      found.push(place);
      if (depth > 0 && length > 1) lengthFields(file, at, at + length, depth - 1, found);
      at += length;
    } else return (found.length = start) < 0;
  }
  return at === to || (found.length = start) < 0;
}

const lengths: Mutation = (file, roll) => {
  const places: number[] = [];
  lengthFields(file, 0, file.length, 5, places);
  const changed = Uint8Array.from(file);
  if (places.length === 0) return changed;
  for (let count = 1 + roll(2); count > 0; count--) {
    const at = pick(places, roll);
    const huge = [0xff, 0xff, 0xff, 0xff, roll(128)];
    const values = [[roll(128)], [0], [changed[at]! ^ 1], [0x80 | roll(128), roll(128)], huge];
    changed.set(pick(values, roll).slice(0, changed.length - at), at);
  }
  return changed;
};

// --- what the bytes say --------------------------------------------------------------------------------------------

const STRANGE = [0n, 1n, -1n, 2n, 3n, 7n, 255n, 4096n, 65537n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 62n]; // prettier-ignore
const LIMITS = [2n ** 63n - 1n, -(2n ** 63n), -2n, -(2n ** 31n)];
const strange = (roll: Dice): bigint => pick([...STRANGE, ...LIMITS], roll);

interface Parts {
  readonly graphs: GraphProto[];
  readonly nodes: NodeProto[];
  readonly tensors: TensorProto[];
  readonly attributes: AttributeProto[];
}

function partsOf(proto: ModelProto): Parts {
  const parts: Parts = { graphs: [], nodes: [], tensors: [], attributes: [] };
  const visitNode = (node: NodeProto) => {
    parts.nodes.push(node);
    for (const attribute of node.attribute) {
      parts.attributes.push(attribute);
      if (attribute.t !== undefined) parts.tensors.push(attribute.t);
      if (attribute.g !== undefined) visit(attribute.g);
    }
  };
  const visit = (graph: GraphProto) => {
    parts.graphs.push(graph);
    parts.tensors.push(...graph.initializer);
    for (const sparse of graph.sparseInitializer)
      for (const tensor of [sparse.values, sparse.indices]) if (tensor !== undefined) parts.tensors.push(tensor);
    for (const node of graph.node) visitNode(node);
  };
  if (proto.graph !== undefined) visit(proto.graph);
  for (const { node } of proto.functions) for (const each of node) visitNode(each);
  return parts;
}

function structured(change: (parts: Parts, roll: Dice, proto: ModelProto) => void): Mutation {
  return (file, roll) => {
    const proto = fromBinary(ModelProtoSchema, file);
    const parts = partsOf(proto);
    for (let count = 1 + roll(3); count > 0; count--) change(parts, roll, proto);
    return toBinary(ModelProtoSchema, proto);
  };
}

const dims = structured(({ graphs, tensors }, roll, proto) => {
  const graph = pick(graphs, roll);
  const infos = [...graph.input, ...graph.output, ...graph.valueInfo];
  const which = roll(4);
  const sparse = proto.graph?.sparseInitializer ?? [];
  if (which === 0 && sparse.length > 0) pick(sparse, roll).dims = [strange(roll), strange(roll)];
  else if (which <= 2 && tensors.length > 0) {
    const tensor = pick(tensors, roll);
    if (roll(4) === 0) tensor.dims = Array.from({ length: roll(6) }, () => strange(roll));
    else if (tensor.dims.length > 0) tensor.dims[roll(tensor.dims.length)] = strange(roll);
    else tensor.dims = [strange(roll)];
  } else if (infos.length > 0) {
    const type = pick(infos, roll).type?.value;
    if (type?.case !== 'tensorType' || type.value.shape === undefined) return;
    const { shape } = type.value;
    if (shape.dim.length > 0) pick(shape.dim, roll).value = { case: 'dimValue', value: strange(roll) };
    if (roll(4) === 0) shape.dim.splice(roll(shape.dim.length + 1), 1);
  }
});

const PATHS = ['weights.bin', '../weights.bin', '/etc/passwd', 'a/../../b', '', '.', 'C:\\x', 'first.bin', 'a\0b', '~/x', 'second.bin', './first.bin', '//x', 'first.bin/..']; // prettier-ignore

const externalPaths = structured(({ tensors }, roll) => {
  if (tensors.length === 0) return;
  const tensor = pick(tensors, roll);
  tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
  const number = () => pick(['0', '-1', '1e9', 'x', '', '64', String(strange(roll)), '9'.repeat(40)], roll);
  const entry = (key: string, value: string) => ({ $typeName: 'onnx.StringStringEntryProto' as const, key, value });
  tensor.externalData = [
    entry(roll(8) === 0 ? 'place' : 'location', pick(PATHS, roll)),
    ...(roll(2) === 0 ? [entry('offset', number())] : []),
    ...(roll(2) === 0 ? [entry('length', number())] : []),
  ];
  if (roll(2) === 0) tensor.rawData = new Uint8Array();
});

const attributes = structured(({ attributes: all, nodes }, roll) => {
  if (all.length === 0 || roll(6) === 0) {
    const node = pick(nodes, roll);
    node.attribute.splice(roll(node.attribute.length + 1), 1);
    return;
  }
  const attribute = pick(all, roll);
  const which = roll(6);
  if (which === 0) attribute.type = roll(15);
  else if (which === 1) attribute.i = strange(roll);
  else if (which === 2 && attribute.ints.length > 0) attribute.ints[roll(attribute.ints.length)] = strange(roll);
  else if (which === 3) attribute.ints = Array.from({ length: roll(9) }, () => strange(roll));
  else if (which === 4)
    attribute.s = new TextEncoder().encode(pick(['SAME_UPPER', '', 'linear', '\ud800', '...ij,jk'], roll)); // prettier-ignore
  else attribute.f = pick([Number.NaN, Number.POSITIVE_INFINITY, -0, 1e38, -1], roll);
});

const wiring = structured(({ nodes, graphs }, roll) => {
  const [from, to] = [pick(nodes, roll), pick(nodes, roll)];
  const names = [...from.output, ...from.input, ''];
  const which = roll(5);
  if (which === 0 && to.input.length > 0) to.input[roll(to.input.length)] = pick(names, roll);
  else if (which === 1) to.input.splice(roll(to.input.length + 1), 1);
  else if (which === 2) to.input.push(pick(names, roll));
  else if (which === 3) to.output.splice(roll(to.output.length + 1), 1, ...(roll(2) === 0 ? [pick(names, roll)] : []));
  else {
    const graph = pick(graphs, roll);
    if (graph.node.length > 0) graph.node.splice(roll(graph.node.length), 1);
  }
});

const kinds = structured(({ nodes, tensors }, roll, proto) => {
  const which = roll(5);
  if (which === 0) pick(nodes, roll).opType = pick(nodes, roll).opType;
  else if (which === 1) pick(nodes, roll).domain = pick(['com.microsoft', 'ai.onnx.ml', '', 'nowhere'], roll);
  else if (which === 2 && tensors.length > 0) pick(tensors, roll).dataType = roll(30);
  else if (which === 3 && proto.opsetImport.length > 0)
    pick(proto.opsetImport, roll).version = pick([0n, 1n, 6n, 7n, 9n, 11n, 13n, 17n, 26n, 999n, -1n], roll);
  else pick(nodes, roll).opType = pick(['Constant', 'If', 'Loop', 'Reshape', 'Einsum', 'Resize', 'Scan', 'LSTM', 'Pad'], roll); // prettier-ignore
});

const payload = structured(({ tensors }, roll) => {
  if (tensors.length === 0) return;
  const tensor = pick(tensors, roll);
  const which = roll(4);
  if (which === 0) tensor.rawData = tensor.rawData.slice(0, roll(tensor.rawData.length + 1));
  else if (which === 1) tensor.rawData = new Uint8Array(roll(256));
  else if (which === 2) tensor.int64Data = Array.from({ length: roll(9) }, () => strange(roll));
  else {
    const words = new BigInt64Array(Math.floor(tensor.rawData.length / 8));
    if (words.length === 0 || words.length > 64) return;
    tensor.rawData = new Uint8Array(words.map(() => BigInt.asIntN(64, strange(roll))).buffer);
  }
});

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'bit flips': bitFlips,
  bytes,
  truncation,
  splice,
  'length fields': lengths,
  dims,
  'external paths': externalPaths,
  attributes,
  wiring,
  'kinds and versions': kinds,
  'weights’ values': payload,
};

export interface FuzzCase {
  readonly mutation: string;
  /** Name of the file that was broken. */
  readonly seedFile: string;
  readonly bytes: Uint8Array;
}

/** The case of this number: the same for the same seed and files. Small files come more often than large ones. */
export function fuzzCase(files: readonly (readonly [string, Uint8Array])[], seed: number, index: number): FuzzCase {
  const roll = dice(Math.imul(seed + 1, 0x9e3779b1) ^ index);
  const sorted = files.toSorted(([, left], [, right]) => left.length - right.length);
  const place = roll(4) === 0 ? roll(sorted.length) : roll(Math.min(sorted.length, 9));
  const [seedFile, file] = sorted[place]!;
  const mutation = pick(Object.keys(MUTATIONS), roll);
  return { mutation, seedFile, bytes: MUTATIONS[mutation]!(file, roll, pick(sorted, roll)[1]) };
}
