/** Weights in files beside the model: where they may be. What is in them is never read here. */
import { UserError } from './errors.ts';
import type { Graph, Model, Storage, Weight } from './model.ts';
import { nodeLabel } from './model.ts';
import { byteLength } from './weight.ts';

export type ExternalStorage = Extract<Storage, { kind: 'external' }>;

/** Checks what a file says of an external weight. The file must stay within the model's folder. */
export function externalStorage(
  name: string,
  location: string,
  offset = '0',
  length: string | undefined = undefined,
): ExternalStorage {
  const parts = location.split(/[\\/]/);
  if (/^([\\/]|[a-zA-Z]:)/.test(location) || parts.includes('..') || location.includes('\0') || location.trim() === '')
    throw new UserError(
      `the weight "${name}" is said to be in ${JSON.stringify(location)}, which is not inside the model's folder: refused`,
    );
  const storage: ExternalStorage = {
    kind: 'external',
    location,
    offset: Number(offset),
    length: length === undefined ? undefined : Number(length),
  };
  const numbers = [storage.offset, storage.length ?? 0];
  if (!numbers.every((value) => Number.isSafeInteger(value) && value >= 0))
    throw new UserError(`not a valid ONNX model: the external weight "${name}" has an impossible offset or length`);
  return storage;
}

export interface ExternalWeight {
  /** Its name, or that of the node it belongs to. */
  readonly name: string;
  readonly storage: ExternalStorage;
  /** Bytes that its type and dims take. */
  readonly bytes: number;
}

/** The external weights of a model, those of subgraphs and attributes included. */
export function externalWeights(model: Model): ExternalWeight[] {
  return externalInGraph(model.graph);
}

function externalInGraph(graph: Graph): ExternalWeight[] {
  const own = [...graph.initializers].flatMap(([name, weight]) => external(name, weight));
  const inner = graph.nodes.flatMap((node) =>
    Object.values(node.attributes).flatMap((attribute) => {
      if (attribute.kind === 'graph') return externalInGraph(attribute.value);
      return attribute.kind === 'tensor' ? external(nodeLabel(node), attribute.value) : [];
    }),
  );
  return [...own, ...inner];
}

const external = (name: string, { type, dims, storage }: Weight): ExternalWeight[] =>
  storage.kind === 'external' ? [{ name, storage, bytes: byteLength(type, dims) }] : [];
