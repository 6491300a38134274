/** Exports made by reference/architectures, run through the product and compared with what PyTorch says of them. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { locateAttention } from '../../src/attention/index.ts';
import type { AttentionBlock } from '../../src/attention/index.ts';
import { differentiate, gradientCoverage } from '../../src/autodiff/index.ts';
import { GraphBuilder, fromFloat16, numbersToData, pruneModel, sizeOf, writeModel } from '../../src/onnx/index.ts';
import type { DenseTensor, Model, NamedTensors } from '../../src/onnx/index.ts';
import { findFeatures } from '../../src/programs/index.ts';
import { ModelHost, openSession } from '../../src/runtime/index.ts';
import { roundingTwin } from './rounding-twin.ts';

interface Packed {
  readonly type: 'float32' | 'int64';
  readonly dims: readonly number[];
  /** Little-endian numbers. */
  readonly base64: string;
}

/** What a model answers, its gradients and where it attends. */
export interface Answers {
  readonly outputs: readonly {
    readonly name: string;
    readonly value: Packed;
    /** The weight of each element of the output; what is differentiated is their sum. */
    readonly seed: Packed;
    /** By input: of a float input itself, of ids the embedding they select. */
    readonly gradients: Readonly<Record<string, Packed>>;
  }[];
  readonly blocks: readonly (Packed & { readonly kind: AttentionBlock['kind']; readonly layer: number })[];
}

export interface Reference extends Answers {
  readonly architecture: string;
  readonly group: string;
  readonly note: string;
  readonly kvHeads: number | null;
  readonly inputs: Readonly<Record<string, Packed>>;
  /** The same of the model with products quantised as onnxruntime does dynamically, gradients straight-through. */
  readonly quantized?: Answers;
}

/** How far an export is from PyTorch; each error is the largest difference over the largest value. */
export interface Compared {
  /** Of the unmodified file's output, as onnxruntime gives it; null where it cannot run the file. */
  readonly file: number | null;
  /** Of the differentiated program's output from the unmodified file's, or from PyTorch's where there is none. */
  readonly output: number;
  readonly gradient: number;
  /** Smallest cosine between a gradient and PyTorch's. */
  readonly cosine: number;
  /** Of a quantised file: how far gradient and output are from those of its float twin (rounding-twin.ts). */
  readonly twin?: Pick<Compared, 'output' | 'gradient' | 'cosine'>;
  /** Names of operators without a rule. */
  readonly missing: readonly string[];
}

/** How far PyTorch's own gradient in float16 is from float64's, measured in the same way. */
export interface Half {
  readonly gradient: number;
  readonly cosine: number;
  /** Rectifiers and maxima that decide otherwise in float16, of how many. */
  readonly flipped: number;
  readonly kinks: number;
  /** What is left of the error when float64 takes float16's decisions. */
  readonly unflipped: number;
}

export interface Attended {
  readonly found: number;
  readonly expected: number;
  /** What of kind, layer, heads, kvHeads or shape is not the framework's. */
  readonly differences: readonly string[];
  /** Largest difference of a probability. */
  readonly error: number;
  /** Whether an output projection was found for every block. */
  readonly projected: boolean;
}

export function readReference(folder: string): Reference {
  return JSON.parse(readFileSync(path.join(folder, 'reference.json'), 'utf8')) as Reference;
}

export const exportsIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.onnx'))
    .map((file) => file.slice(0, -'.onnx'.length))
    .sort();

export const openExport = (folder: string, name: string): Promise<ModelHost> =>
  ModelHost.open(path.join(folder, `${name}.onnx`), { cache: false, threads: 1 });

/** Differentiates each output with respect to what the product finds to attribute to, and compares. */
export async function compareGradients(
  host: ModelHost,
  reference: Reference,
  answers: Answers = reference,
): Promise<Compared> {
  const { model } = host;
  const features = findFeatures(model);
  const worst = { output: 0, gradient: 0, cosine: 1 };
  const twin = await roundingTwin(model, feedsOf(model, reference), run);
  const fromTwin = { output: 0, gradient: 0, cosine: 1 };
  const own = await runOriginal(host, feedsOf(model, reference));
  let file = 0;
  for (const { name, value, seed, gradients } of answers.outputs) {
    const original = own?.[name];
    if (original !== undefined) file = Math.max(file, relative(original, value));
    const wrt = features.map((feature) => feature.value);
    const program = differentiate(model, { of: name, wrt, seed: { input: SEED } });
    const outputs = await run(program.model, { ...feedsOf(model, reference), [SEED]: unpackFor(model, name, seed) });
    worst.output = Math.max(worst.output, difference(outputs[name]!, original ?? unpack(value)));
    if (twin !== undefined) {
      const through = differentiate(twin.model, { of: name, wrt, seed: { input: SEED } });
      const theirs = await run(through.model, {
        ...feedsOf(model, reference),
        ...twin.feeds,
        [SEED]: unpackFor(model, name, seed),
      });
      fromTwin.output = Math.max(fromTwin.output, difference(outputs[name]!, theirs[name]!));
      for (const value of wrt) {
        const [ours, other] = [outputs[program.gradients.get(value)!]!, theirs[through.gradients.get(value)!]!];
        fromTwin.gradient = Math.max(fromTwin.gradient, difference(ours, other));
        fromTwin.cosine = Math.min(fromTwin.cosine, cosine(ours, other));
      }
    }
    for (const feature of features) {
      const expected = gradients[feature.input];
      if (expected === undefined) throw new Error(`no reference gradient for ${feature.input}`);
      const ours = outputs[program.gradients.get(feature.value)!]!;
      worst.gradient = Math.max(worst.gradient, relative(ours, expected));
      worst.cosine = Math.min(worst.cosine, cosine(ours, unpack(expected)));
    }
  }
  return {
    ...worst,
    ...(twin === undefined ? {} : { twin: fromTwin }),
    file: own === undefined ? null : file,
    missing: gradientCoverage(model).missing.map(({ operator }) => operator),
  };
}

/** What the unmodified file gives; undefined where onnxruntime refuses what the exporter wrote. */
async function runOriginal(host: ModelHost, feeds: NamedTensors): Promise<NamedTensors | undefined> {
  const session = await host.openOriginal().catch(() => undefined);
  if (session === undefined) return undefined;
  return session
    .run(feeds)
    .catch(() => undefined)
    .finally(() => session.release());
}

/** Locates attention, captures its probabilities and compares them with `output_attentions`. */
export async function compareAttention(
  { model }: ModelHost,
  reference: Reference,
  answers: Answers = reference,
): Promise<Attended> {
  const blocks = locateAttention(model);
  const b = new GraphBuilder(model);
  for (const { index, probabilities } of blocks) b.addOutput(probabilities, `probabilities/${index}`);
  const outputs = blocks.length === 0 ? {} : await run(pruneModel(b.build()), feedsOf(model, reference));
  const differences: string[] = [];
  let error = 0;
  const left = [...blocks];
  for (const expected of answers.blocks) {
    const at = left.findIndex(({ kind }) => kind === expected.kind);
    const block = left[at];
    if (block === undefined) {
      differences.push(`no ${expected.kind} block ${expected.layer}`);
      continue;
    }
    left.splice(at, 1);
    const heads = expected.dims[1]!;
    const kvHeads = reference.kvHeads ?? heads;
    if (block.layer !== expected.layer) differences.push(`layer ${block.layer} is ${expected.layer}`);
    if (block.heads !== heads) differences.push(`${block.heads} heads are ${heads}`);
    if (block.kvHeads !== kvHeads) differences.push(`${block.kvHeads} kv heads are ${kvHeads}`);
    const probabilities = outputs[`probabilities/${block.index}`]!;
    if (sizeOf(probabilities.dims) !== sizeOf(expected.dims)) {
      differences.push(`[${probabilities.dims.join(', ')}] is [${expected.dims.join(', ')}]`);
      continue;
    }
    error = Math.max(error, largestDifference(floats(probabilities), floats(unpack(expected))));
  }
  for (const { kind, path: place } of left) differences.push(`${place} is no ${kind} block`);
  return {
    found: blocks.length,
    expected: answers.blocks.length,
    differences,
    error,
    projected: blocks.every(({ projection }) => projection !== null),
  };
}

/** What an export is compared with: one of quantised products with PyTorch's of the same roundings. */
export const answersFor = (name: string, reference: Reference): Answers =>
  (name.endsWith('-int8') ? reference.quantized : undefined) ?? reference;

export interface Bounds {
  /** Of the file itself: beyond it is another model. */
  readonly file: number;
  readonly gradient: number;
  readonly cosine: number;
  readonly attention: number;
}

const FLOAT32: Bounds = { file: 1e-5, gradient: 1e-4, cosine: 0.999, attention: 1e-5 };
const FLOAT16: Bounds = { file: 2e-2, gradient: 3e-2, cosine: 0.999, attention: 2e-2 };
/** Some rounding falls the other way than in the reference, which moves a value by one of 255 steps. */
const ROUNDED: Bounds = { ...FLOAT32, file: 2e-1, attention: 2e-1 };
/** The same of what was measured before there were twins, against PyTorch's roundings: such numbers say little. */
const ROUNDED_UNTWINNED: Bounds = { ...ROUNDED, gradient: 5e-1, cosine: 0.95 };
/** How much worse than PyTorch's own float16 a float16 export may be. */
const TIMES_HALF = 2;

/** Whether a quantised file rounds everything as the reference does: then there is no more error than in float32. */
export const roundsAlike = ({ file }: Compared): boolean => file !== null && file <= FLOAT32.file;

/**
 * The gradient's errors that are held to the bounds: from PyTorch's, but of a quantised file that rounds otherwise than the
 * reference from its float twin's, since from PyTorch's it is as far as the roundings are.
 */
export const judged = (name: string, compared: Compared): Pick<Compared, 'gradient' | 'cosine'> =>
  name.endsWith('-int8') && !roundsAlike(compared) ? (compared.twin ?? compared) : compared;

/**
 * The largest errors, and the smallest cosine, allowed. In float16 twice PyTorch's own error, where that was measured: a
 * rectifier within rounding of its kink decides otherwise there, whoever computes.
 */
export function boundsFor(name: string, compared: Compared, half?: Half): Bounds {
  if (name.endsWith('-int8') && compared.twin === undefined && !roundsAlike(compared)) return ROUNDED_UNTWINNED;
  if (name.endsWith('-int8')) return roundsAlike(compared) ? FLOAT32 : ROUNDED;
  if (!name.endsWith('-fp16')) return FLOAT32;
  if (half === undefined) return FLOAT16;
  const cosine = Math.min(FLOAT16.cosine, 1 - TIMES_HALF * (1 - half.cosine));
  return { ...FLOAT16, gradient: TIMES_HALF * half.gradient, cosine };
}

const SEED = 'test/seed';

async function run(model: Model, feeds: NamedTensors): Promise<NamedTensors> {
  const session = await openSession(writeModel(model), { threads: 1 });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

export function feedsOf(model: Model, reference: Reference): NamedTensors {
  return Object.fromEntries(
    model.graph.inputs.flatMap(({ name, type }) => {
      const packed = reference.inputs[name];
      return packed === undefined ? [] : [[name, unpack(packed, type)]];
    }),
  );
}

const unpackFor = (model: Model, output: string, packed: Packed): DenseTensor =>
  unpack(packed, model.graph.outputs.find(({ name }) => name === output)?.type);

function unpack({ type, dims, base64 }: Packed, as: DenseTensor['type'] = type): DenseTensor {
  const { buffer } = Uint8Array.from(Buffer.from(base64, 'base64'));
  const numbers = type === 'float32' ? new Float32Array(buffer) : new BigInt64Array(buffer);
  return { type: as, dims, data: numbersToData(as, Array.from(numbers, Number)) };
}

function floats({ type, data }: DenseTensor): number[] {
  if (type === 'float16') return Array.from(data as Uint16Array, fromFloat16);
  return Array.from(data as ArrayLike<number>, Number);
}

const largest = (values: readonly number[]) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
/** NaN where either is NaN, whatever Math.max would make of it. */
const largestDifference = (ours: readonly number[], theirs: readonly number[]) => {
  const differences = ours.map((value, at) => Math.abs(value - theirs[at]!));
  return differences.some(Number.isNaN) ? Number.NaN : largest(differences);
};

const relative = (ours: DenseTensor, packed: Packed) => difference(ours, unpack(packed));

function difference(ours: DenseTensor, theirs: DenseTensor): number {
  if (ours.dims.join() !== theirs.dims.join()) throw new Error(`[${ours.dims.join()}] is not [${theirs.dims.join()}]`);
  const expected = floats(theirs);
  return largestDifference(floats(ours), expected) / largest(expected);
}

function cosine(ours: DenseTensor, theirs: DenseTensor): number {
  const [left, right] = [floats(ours), floats(theirs)];
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, at) => sum + value * b[at]!, 0);
  return dot(left, right) / Math.sqrt(dot(left, left) * dot(right, right));
}
