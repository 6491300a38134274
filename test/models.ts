/** Small models made by hand, and what they compute. */
import type { Attribute, DenseTensor, Model, NamedTensors, Node, ValueInfo, Weight } from '../src/onnx/index.ts';
import { writeModel } from '../src/onnx/index.ts';
import type { SessionOptions } from '../src/runtime/index.ts';
import { openSession } from '../src/runtime/index.ts';

export function makeNode(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
  domain = '',
): Node {
  return { name: `${operator}_${outputs[0]}`, operator, domain, inputs, outputs, attributes };
}

export interface ModelParts {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly nodes: readonly Node[];
  readonly initializers?: Iterable<readonly [string, Weight]>;
  readonly opset?: number;
}

export function makeModel({ inputs, outputs, nodes, initializers = [], opset = 18 }: ModelParts): Model {
  return {
    irVersion: 8,
    producer: 'test',
    opsets: new Map([
      ['', opset],
      ['com.microsoft', 1],
    ]),
    graph: {
      name: 'test',
      inputs,
      outputs,
      nodes,
      initializers: new Map(initializers),
      valueInfos: new Map(),
      otherTypes: new Map(),
    },
    functions: [],
    metadata: new Map(),
  };
}

/** What a model gives for one set of inputs. */
export async function runModel(
  model: Model | Uint8Array,
  feeds: NamedTensors,
  options: SessionOptions = {},
): Promise<NamedTensors> {
  const bytes = model instanceof Uint8Array ? model : writeModel(model);
  const session = await openSession(bytes, { threads: 1, ...options });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

export const numbersOf = ({ data }: DenseTensor): number[] => Array.from(data as ArrayLike<number | bigint>, Number);

/** Numbers in [low, high), the same for the same seed (mulberry32). */
export function chance(seed: number): (low?: number, high?: number) => number {
  let state = seed >>> 0;
  return (low = -1, high = 1) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return low + ((word ^ (word >>> 14)) >>> 0) * 2 ** -32 * (high - low);
  };
}

export function hash(text: string): number {
  let value = 2166136261;
  for (const letter of text) value = Math.imul(value ^ letter.codePointAt(0)!, 16777619);
  return value >>> 0;
}
