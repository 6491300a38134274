import type { TypeProto, FunctionProto } from 'onnx-buf';
import type { DataType, Dim, ValueInfo } from './tensor.ts';

/** A value is known by its name, unique within its graph. The empty name stands for an absent optional input. */
export type ValueName = string;

/** Where a weight's bytes are. Passes hand the same object on, so a weight is never copied by a rewrite. */
export type Storage =
  /**
   * Little-endian bytes; a view on the file that was read. `fileOffset` is where in that file, when it is verbatim there, and
   * `file` that file's name where several make up the model.
   */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly fileOffset?: number; readonly file?: string }
  /** Bytes of another file beside the model, never read into memory here. */
  | {
      readonly kind: 'external';
      readonly location: string;
      readonly offset: number;
      readonly length: number | undefined;
    }
  | { readonly kind: 'strings'; readonly strings: readonly string[] };

/** A constant tensor of a model: an initializer, or the value of a Constant node. */
export interface Weight {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly storage: Storage;
}

export type Attribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: Weight }
  | { readonly kind: 'graph'; readonly value: Graph }
  /** A form we carry through unread: sparse tensors, type protos, a reference inside a function. */
  | { readonly kind: 'opaque'; readonly value: unknown };

export interface Node {
  readonly name: string;
  /** The operator, for example `MatMul`. */
  readonly operator: string;
  /** The operator's domain; empty for ai.onnx. */
  readonly domain: string;
  /** Which of the model's functions of this name, where there are several. */
  readonly overload?: string;
  readonly inputs: readonly ValueName[];
  readonly outputs: readonly ValueName[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export interface Graph {
  readonly name: string;
  /** Inputs a caller has to give; an initializer of the same name would be a default. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** In an order in which every value is produced before it is used. */
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<ValueName, Weight>;
  /** What the file says of intermediate values. */
  readonly valueInfos: ReadonlyMap<ValueName, ValueInfo>;
  /** Types of inputs and outputs that are not plain tensors (sequences, maps, optionals). */
  readonly otherTypes: ReadonlyMap<ValueName, TypeProto>;
}

export interface Model {
  readonly irVersion: number;
  readonly producer: string;
  /** Version of each operator set by domain; the empty domain is ai.onnx. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly graph: Graph;
  readonly functions: readonly FunctionProto[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** Type and shape of a value as far as they are known. */
export interface ValueType {
  readonly type: DataType;
  readonly dims: readonly Dim[] | undefined;
}

/** What a node is called: its name, or its first output's where it has none. */
export const nodeLabel = ({ name, outputs }: Node): string => name || outputs[0]!;

/** Version of the ai.onnx operator set a model uses. */
export function opsetOf(model: Model): number {
  return model.opsets.get('') ?? 1;
}

/** The node with each of its subgraphs changed. */
export function withSubgraphs(node: Node, change: (graph: Graph) => Graph): Node {
  const entries = Object.entries(node.attributes);
  if (!entries.some(([, attribute]) => attribute.kind === 'graph')) return node;
  const attributes = entries.map(
    ([name, attribute]) =>
      [name, attribute.kind === 'graph' ? { ...attribute, value: change(attribute.value) } : attribute] as const,
  );
  return { ...node, attributes: Object.fromEntries(attributes) };
}

export function intAttribute(node: Node, name: string): number | undefined;
export function intAttribute(node: Node, name: string, fallback: number): number;
export function intAttribute(node: Node, name: string, fallback?: number): number | undefined {
  const attribute = node.attributes[name];
  return attribute?.kind === 'int' ? attribute.value : fallback;
}

export function floatAttribute(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  return attribute?.kind === 'float' ? attribute.value : fallback;
}

export function stringAttribute(node: Node, name: string, fallback: string): string {
  const attribute = node.attributes[name];
  return attribute?.kind === 'string' ? attribute.value : fallback;
}

export function intsAttribute(node: Node, name: string): readonly number[] | undefined {
  const attribute = node.attributes[name];
  return attribute?.kind === 'ints' ? attribute.value : undefined;
}

/** The list, or an empty one. */
export function floatsAttribute(node: Node, name: string): readonly number[] {
  const attribute = node.attributes[name];
  return attribute?.kind === 'floats' ? attribute.value : [];
}

/** Attributes by name; undefined ones are left out. */
export type AttributeValues = Readonly<Record<string, Attribute | undefined>>;

export const int = (value: number): Attribute => ({ kind: 'int', value });
export const ints = (value: readonly number[]): Attribute => ({ kind: 'ints', value });
export const float = (value: number): Attribute => ({ kind: 'float', value });
export const string = (value: string): Attribute => ({ kind: 'string', value });
