/** An encoder of many layers and heads with random weights that attends sharply, as trained ones do: something to browse. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { float, int, ints, numbersWeight, writeModel } from 'onnxray';
import type { Attribute, Model, Node, Weight } from 'onnxray';

export interface BrowsedSize {
  readonly layers: number;
  readonly heads: number;
  readonly tokens: number;
}

/** Elements of a head; the model is only as wide as its heads are many. */
const HEAD = 4;
/** Standard deviation of the queries and keys; their scores are then as far apart as its square. */
const SHARPNESS = 1.7;

/**
 * Writes a model folder for texts of `tokens` tokens into `folder`: the tokenizer of the embedded text model, and one example
 * of that length, each word another. Returns the text.
 */
export function writeBrowsed(folder: string, zoo: string, size: BrowsedSize): string {
  mkdirSync(folder, { recursive: true });
  for (const name of ['tokenizer.json', 'special_tokens_map.json'])
    cpSync(path.join(zoo, name), path.join(folder, name));
  const read = (name: string): Record<string, unknown> =>
    JSON.parse(readFileSync(path.join(zoo, name), 'utf8')) as never;
  const write = (name: string, content: unknown) => writeFileSync(path.join(folder, name), JSON.stringify(content));
  write('tokenizer_config.json', { ...read('tokenizer_config.json'), model_max_length: size.tokens });
  write('config.json', { ...read('config.json'), max_position_embeddings: size.tokens });
  const { model } = read('tokenizer.json') as unknown as { readonly model: { readonly vocab: Record<string, number> } };
  const words = Object.keys(model.vocab).filter((word) => /^[a-z]{3,9}$/.test(word));
  // The first and last token are special.
  const text = Array.from({ length: size.tokens - 2 }, (_, index) => words[(index * 7) % words.length]!).join(' ');
  write('examples.json', [{ text }]);
  writeFileSync(path.join(folder, 'model.onnx'), writeModel(encoder(size, Object.keys(model.vocab).length)));
  return text;
}

function encoder({ layers, heads }: BrowsedSize, vocabulary: number): Model {
  const hidden = heads * HEAD;
  const nodes: Node[] = [];
  const initializers = new Map<string, Weight>();
  const random = randomNumbers();
  const add = (
    operator: string,
    inputs: readonly string[],
    output: string,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string => {
    nodes.push({ name: `/${output}`, operator, domain: '', inputs, outputs: [output], attributes });
    return output;
  };
  const constant = (name: string, type: 'float32' | 'int64', dims: readonly number[], values: number[]): string => {
    initializers.set(name, numbersWeight(type, dims, values));
    return name;
  };
  const matrix = (name: string, dims: readonly [number, number], deviation: number): string =>
    constant(
      name,
      'float32',
      dims,
      Array.from({ length: dims[0] * dims[1] }, () => random() * deviation),
    );
  const norm = (x: string, name: string): string =>
    add(
      'LayerNormalization',
      [
        x,
        constant(`${name}.weight`, 'float32', [hidden], Array<number>(hidden).fill(1)),
        constant(`${name}.bias`, 'float32', [hidden], Array<number>(hidden).fill(0)),
      ],
      name,
      { axis: int(-1), epsilon: float(1e-5) },
    );
  const split = constant('split', 'int64', [4], [0, 0, heads, HEAD]);
  const join = constant('join', 'int64', [3], [0, 0, hidden]);
  const scale = constant('scale', 'float32', [], [Math.sqrt(HEAD)]);
  let x = norm(
    add('Gather', [matrix('embedding.weight', [vocabulary, hidden], 1), 'input_ids'], 'embedding'),
    'embedding/norm',
  );
  for (let layer = 0; layer < layers; layer++) {
    const at = `layer.${layer}`;
    const part = (name: string, perm: readonly number[], deviation: number): string => {
      const product = add(
        'MatMul',
        [x, matrix(`${at}.${name}.weight`, [hidden, hidden], deviation)],
        `${at}/${name}/MatMul`,
      );
      return add('Transpose', [add('Reshape', [product, split], `${at}/${name}/split`)], `${at}/${name}/heads`, {
        perm: ints(perm),
      });
    };
    const [sharp, plain] = [SHARPNESS / Math.sqrt(hidden), 1 / Math.sqrt(hidden)];
    const [q, k, v] = [
      part('query', [0, 2, 1, 3], sharp),
      part('key', [0, 2, 3, 1], sharp),
      part('value', [0, 2, 1, 3], plain),
    ];
    const scores = add('Div', [add('MatMul', [q, k], `${at}/scores`), scale], `${at}/scaled`);
    const probabilities = add('Softmax', [scores], `${at}/softmax`, { axis: int(-1) });
    const context = add('MatMul', [probabilities, v], `${at}/context`);
    const turned = add('Transpose', [context], `${at}/turned`, { perm: ints([0, 2, 1, 3]) });
    const joined = add('Reshape', [turned, join], `${at}/joined`);
    const attended = add('MatMul', [joined, matrix(`${at}.output.weight`, [hidden, hidden], plain)], `${at}/output`);
    x = norm(add('Add', [x, attended], `${at}/residual`), `${at}/norm`);
  }
  const first = add('Gather', [x, constant('zero', 'int64', [], [0])], 'first', { axis: int(1) });
  add('MatMul', [first, matrix('head.weight', [hidden, 2], 1 / Math.sqrt(hidden))], 'logits');
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

/** Numbers of mean 0 and deviation 1 (xorshift, uniform). */
function randomNumbers(): () => number {
  let state = 88172645;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state / 2 ** 31) * Math.sqrt(3);
  };
}
