/** A text encoder of any size with random weights in external files: what a model of several GB looks like on disk. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { float, int, ints, numbersWeight, writeModel } from 'onnxray';
import type { Attribute, Model, Node, Weight } from 'onnxray';

export interface EncoderSize {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly inner: number;
  readonly vocabulary: number;
}

/** 3.0 GB: 14 layers of 50 million parameters, and the embedding. */
export const LARGE: EncoderSize = { layers: 14, hidden: 2048, heads: 16, inner: 8192, vocabulary: 24576 };

export const BYTES_OF = ({ layers, hidden, inner, vocabulary }: EncoderSize): number =>
  4 * (vocabulary * hidden + layers * (4 * hidden * hidden + 2 * hidden * inner));

/** The weights fill one file up to this size, then the next: the first offset past 2^31 is in the first. */
const FILE_BYTES = 2_400_000_000;

/** Where weights are put, one after the other, in files of their own. */
class Shelf {
  readonly files: number[] = [0];

  weight(dims: readonly number[]): Weight {
    const length = 4 * dims.reduce((left, right) => left * right, 1);
    if (this.files.at(-1)! + length > FILE_BYTES) this.files.push(0);
    const [index, offset] = [this.files.length - 1, this.files.at(-1)!];
    // Pages, as exporters align them.
    this.files[index] = Math.ceil((offset + length) / 4096) * 4096;
    return { type: 'float32', dims, storage: { kind: 'external', location: `weights-${index}.bin`, offset, length } };
  }
}

/** The graph as PyTorch exports an encoder: products, scaled softmax, exact Gelu; logits from the first token. */
function encoder({ layers, hidden, heads, inner, vocabulary }: EncoderSize, shelf: Shelf): Model {
  const nodes: Node[] = [];
  const initializers = new Map<string, Weight>();
  const add = (
    operator: string,
    inputs: readonly string[],
    output: string,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string => {
    nodes.push({ name: `/${output}`, operator, domain: '', inputs, outputs: [output], attributes });
    return output;
  };
  const constant = (name: string, weight: Weight): string => {
    initializers.set(name, weight);
    return name;
  };
  const floats = (name: string, dims: readonly number[], value: number) =>
    constant(name, numbersWeight('float32', dims, Array(dims.reduce((a, b) => a * b, 1)).fill(value)));
  const linear = (x: string, name: string, from: number, to: number) => {
    const weight = constant(`${name}.weight`, shelf.weight([from, to]));
    return add(
      'Add',
      [add('MatMul', [x, weight], `${name}/MatMul`), floats(`${name}.bias`, [to], 0.01)],
      `${name}/Add`,
    );
  };
  const norm = (x: string, name: string) =>
    add('LayerNormalization', [x, floats(`${name}.weight`, [hidden], 1), floats(`${name}.bias`, [hidden], 0)], name, {
      axis: int(-1),
      epsilon: float(1e-5),
    });
  const size = hidden / heads;
  const split = constant('split', numbersWeight('int64', [4], [0, 0, heads, size]));
  const join = constant('join', numbersWeight('int64', [3], [0, 0, hidden]));
  const scale = floats('scale', [], Math.sqrt(size));
  const [two, one, half] = [floats('sqrt2', [], Math.SQRT2), floats('one', [], 1), floats('half', [], 0.5)];

  let x = add('Gather', [constant('embedding.weight', shelf.weight([vocabulary, hidden])), 'input_ids'], 'embedding');
  x = norm(x, 'embedding/norm');
  for (let layer = 0; layer < layers; layer++) {
    const at = `layer.${layer}`;
    const part = (name: string, perm: readonly number[]) => {
      const y = add('Reshape', [linear(x, `${at}/${name}`, hidden, hidden), split], `${at}/${name}/split`);
      return add('Transpose', [y], `${at}/${name}/heads`, { perm: ints(perm) });
    };
    const [q, k, v] = [part('query', [0, 2, 1, 3]), part('key', [0, 2, 3, 1]), part('value', [0, 2, 1, 3])];
    const scores = add('Div', [add('MatMul', [q, k], `${at}/scores`), scale], `${at}/scaled`);
    const context = add('MatMul', [add('Softmax', [scores], `${at}/softmax`, { axis: int(-1) }), v], `${at}/context`);
    const turned = add('Transpose', [context], `${at}/context/turned`, { perm: ints([0, 2, 1, 3]) });
    const attended = linear(add('Reshape', [turned, join], `${at}/context/joined`), `${at}/output`, hidden, hidden);
    x = norm(add('Add', [x, attended], `${at}/attention/residual`), `${at}/attention/norm`);
    const up = linear(x, `${at}/up`, hidden, inner);
    const erf = add('Erf', [add('Div', [up, two], `${at}/gelu/Div`)], `${at}/gelu/Erf`);
    const gated = add('Mul', [up, add('Add', [erf, one], `${at}/gelu/Add`)], `${at}/gelu/Mul`);
    const down = linear(add('Mul', [gated, half], `${at}/gelu`), `${at}/down`, inner, hidden);
    x = norm(add('Add', [x, down], `${at}/residual`), `${at}/norm`);
  }
  const first = add('Gather', [x, constant('zero', numbersWeight('int64', [], [0]))], 'first', { axis: int(1) });
  const head = Array.from({ length: hidden * 2 }, (_, index) => Math.sin(index) / Math.sqrt(hidden));
  add('MatMul', [first, constant('head.weight', numbersWeight('float32', [hidden, 2], head))], 'logits');
  return {
    irVersion: 8,
    producer: 'onnxray bench',
    opsets: new Map([['', 17]]),
    graph: {
      name: 'encoder',
      inputs: [{ name: 'input_ids', type: 'int64', dims: ['batch', 'tokens'] }],
      outputs: [{ name: 'logits', type: 'float32', dims: ['batch', 2] }],
      nodes,
      initializers,
      valueInfos: new Map(),
      otherTypes: new Map(),
    },
    functions: [],
    metadata: new Map(),
  };
}

/** Small numbers with a mean of 0 (xorshift), scaled so that activations keep their size. */
function randomBlock(length: number, deviation: number): Float32Array {
  const block = new Float32Array(length);
  let state = 88172645;
  for (let index = 0; index < length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    block[index] = (state / 2 ** 31) * deviation * Math.sqrt(3);
  }
  return block;
}

/** Writes the encoder into a folder, unless it is there already, and gives the .onnx file. */
export function writeEncoder(folder: string, size: EncoderSize): string {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, 'model.onnx');
  const shelf = new Shelf();
  const model = Buffer.from(writeModel(encoder(size, shelf)));
  const isThere =
    existsSync(file) &&
    readFileSync(file).equals(model) &&
    shelf.files.every((bytes, index) => statSync(path.join(folder, `weights-${index}.bin`)).size === bytes);
  if (isThere) return file;
  // A prime length: no two rows of a matrix are the same, and one block of 64 MB makes all files.
  const block = randomBlock(16_777_213, 1 / Math.sqrt(size.hidden));
  const bytes = new Uint8Array(block.buffer);
  for (const [index, length] of shelf.files.entries()) {
    const target = path.join(folder, `weights-${index}.bin`);
    const open = openSync(`${target}.partial`, 'w');
    for (let at = 0; at < length; at += bytes.length) writeSync(open, bytes, 0, Math.min(bytes.length, length - at));
    closeSync(open);
    renameSync(`${target}.partial`, target);
  }
  writeFileSync(file, model);
  return file;
}
