/** The files that a model's weights are in: there, long enough, and really inside the model's folder. */
import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { UserError, byteLength, externalWeights, withSubgraphs } from '../onnx/index.ts';
import type { Attribute, Graph, Model, Node, Weight } from '../onnx/index.ts';

/** Weights of fewer bytes than this hold shapes and the like, which passes have to see. */
const SMALL = 1024;

/** Checks the files of external weights without reading them. Symbolic links may not lead out of the folder. */
export function checkExternalFiles(model: Model, folder: string): void {
  const weights = externalWeights(model);
  if (weights.length === 0) return;
  const root = realpathSync(folder);
  const sizes = new Map<string, number>();
  for (const { name, storage, bytes } of weights) {
    // Files need not say how long a weight is.
    const { location, offset, length = bytes } = storage;
    let size = sizes.get(location);
    if (size === undefined) {
      size = sizeWithin(root, location, name);
      sizes.set(location, size);
    }
    if (offset + length > size)
      throw new UserError(
        `${location} is too short: the weight "${name}" should end at byte ${offset + length} of ${size}`,
      );
  }
}

function sizeWithin(root: string, location: string, name: string): number {
  let real: string;
  try {
    real = realpathSync(path.join(root, location));
  } catch {
    throw new UserError(`the weight "${name}" is in ${location}, which is missing beside the model`);
  }
  if (!real.startsWith(root + path.sep))
    throw new UserError(`the weight "${name}" is in ${location}, a link that leads out of the model's folder: refused`);
  const status = statSync(real);
  if (!status.isFile()) throw new UserError(`the weight "${name}" is in ${location}, which is not a file`);
  return status.size;
}

/** Size and time of last change of the files a model's weights are in: when one changes, what was compiled is out of date. */
export function externalState(model: Model, folder: string): string[] {
  const files = [...new Set(externalWeights(model).map(({ storage }) => storage.location))].sort();
  return files.map((file) => {
    const { size, mtimeMs } = statSync(path.join(folder, file));
    return `${file}:${size}:${mtimeMs}`;
  });
}

/** The model with small external weights read in; large ones stay where they are. */
export function readSmallWeights(model: Model, folder: string): Model {
  return externalWeights(model).length === 0 ? model : { ...model, graph: readInGraph(model.graph, folder) };
}

function readInGraph(graph: Graph, folder: string): Graph {
  const initializers = new Map(Array.from(graph.initializers, ([name, weight]) => [name, readIfSmall(weight, folder)]));
  const nodes = graph.nodes.map((node) =>
    readInAttributes(
      withSubgraphs(node, (inner) => readInGraph(inner, folder)),
      folder,
    ),
  );
  return { ...graph, initializers, nodes };
}

/** Constant nodes may keep their value in a file as well. */
function readInAttributes(node: Node, folder: string): Node {
  const entries = Object.entries(node.attributes);
  if (!entries.some(([, attribute]) => attribute.kind === 'tensor')) return node;
  const attributes = entries.map(([name, attribute]): [string, Attribute] => [
    name,
    attribute.kind === 'tensor' ? { kind: 'tensor', value: readIfSmall(attribute.value, folder) } : attribute,
  ]);
  return { ...node, attributes: Object.fromEntries(attributes) };
}

function readIfSmall(weight: Weight, folder: string): Weight {
  const { type, dims, storage } = weight;
  const length = byteLength(type, dims);
  if (storage.kind !== 'external' || length >= SMALL) return weight;
  const bytes = new Uint8Array(length);
  const file = openSync(path.join(folder, storage.location), 'r');
  try {
    if (readSync(file, bytes, 0, length, storage.offset) !== length)
      throw new UserError(`${storage.location} is too short for a weight of ${length} bytes at byte ${storage.offset}`);
  } finally {
    closeSync(file);
  }
  return { type, dims, storage: { kind: 'bytes', bytes } };
}
