/**
 * Every model that is in this repository, with one gradient of it: of all it answers, weighted at random, with respect to all
 * that can be scored. Inputs are made from the names of the inputs, so that no model can be left out for want of some.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { appendGradients } from '../../src/autodiff/index.ts';
import {
  GraphBuilder,
  externalWeights,
  foldPadding,
  fromFloat16,
  inferGraph,
  int,
  isFloat,
  normalizeModel,
  numbersToData,
  opsetOf,
  pruneModel,
  readModel,
  sizeOf,
  writeModel,
} from '../../src/onnx/index.ts';
import type { DataType, DenseTensor, Dim, Model, NamedTensors, ValueInfo } from '../../src/onnx/index.ts';
import { findFeatures } from '../../src/programs/index.ts';
import { ModelHost, openSession } from '../../src/runtime/index.ts';
import { chance, hash, numbersOf } from '../models.ts';
import { feedsOf, readReference } from '../models/exports.ts';
import { BOUND } from './cases.ts';
import type { Outcome, Program } from './cases.ts';
import { flips, givenDecisions, tellingDecisions } from './decisions.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** Addresses of all models that are committed, beneath the root. */
export const COMMITTED: readonly string[] = ['test', 'zoo'].flatMap((folder) =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.onnx'))
    .map((file) => `${folder}/${file}`)
    .sort(),
);

/** Models that onnxruntime has no kernels for, on any back end: what is tested of them is that they are read. */
export const WITHOUT_KERNELS: readonly string[] = ['test/onnx/fixtures/bfloat16.onnx'];

/** A model's gradient as a program, with its inputs. */
export interface CommittedGradient {
  readonly file: string;
  readonly program: Model;
  readonly feeds: NamedTensors;
  /** What the CPU makes of it. */
  readonly expected: NamedTensors;
}

/** Of sequences. */
const LENGTH = 6;
/** No padding, nor what begins or ends a sequence. */
const IDS = [3, 16] as const;

/** `given`: inputs to take in place of those that are made. */
export async function committedGradient(file: string, given: NamedTensors = {}): Promise<CommittedGradient> {
  const host = await ModelHost.open(path.join(root, file), { cache: false, threads: 1 });
  const known = { ...knownFeeds(host.model, file), ...given };
  const inputs = host.model.graph.inputs.map((info): [string, DenseTensor] => [
    info.name,
    known[info.name] ?? inputOf(file, info),
  ]);
  const own = Object.fromEntries(inputs);
  const dims = Object.fromEntries(inputs.map(([name, tensor]) => [name, tensor.dims]));
  const model = foldPadding(normalizeModel(host.original, { dims }));
  const session = await host.openVariant(model);
  const answer = await session.run(own).finally(() => session.release());
  await host.release();
  const b = new GraphBuilder(model);
  const answers = model.graph.outputs.filter(({ type }) => isFloat(type));
  const seeds = answers.map(({ name, type, dims: declared }): [string, DenseTensor] => {
    const seed = `seed/${name}`;
    b.addInput({ name: seed, type, dims: declared });
    return [seed, random(`${file} ${name}`, type, answer[name]!.dims)];
  });
  const weighted = answers.map(({ name, type }) => {
    const product = b.mul(name, `seed/${name}`);
    return b.op('ReduceSum', [type === 'float16' ? b.cast(product, 'float32') : product], { keepdims: int(0) });
  });
  const loss = weighted.reduce((left, right) => b.add(left, right));
  const wrt = findFeatures(model).map(({ value }) => value);
  for (const [value, gradient] of appendGradients(b, { of: loss, wrt, seed: b.onesLike(loss) }))
    b.addOutput(gradient, `gradient/${value}`);
  const program = pruneModel(b.build());
  const feeds = { ...own, ...Object.fromEntries(seeds) };
  return { file, program, feeds, expected: await onCpu(file, program, feeds) };
}

const folderOf = (file: string) => path.dirname(file);
/** As bytes that refer to the model's own file for weights. */
const encode = (file: string, program: Model) => writeModel(program, { weightsIn: path.basename(file) });

async function onCpu(file: string, program: Model, feeds: NamedTensors): Promise<NamedTensors> {
  const weightsFolder = path.join(root, folderOf(file));
  const session = await openSession(encode(file, program), { threads: 1, weightsFolder });
  return session.run(feeds).finally(() => session.release());
}

/** A gradient that tells its decisions, what the CPU decides, and the gradient that is given the CPU's decisions. */
export async function onItsDecisions(gradient: CommittedGradient) {
  const { file, program, feeds } = gradient;
  const { model: telling, names } = tellingDecisions(program);
  const own = await onCpu(file, telling, feeds);
  const decisions = Object.fromEntries(names.map((name) => [name, own[name]!]));
  const given = { ...gradient, program: givenDecisions(program), feeds: { ...feeds, ...decisions } };
  return { telling, names, own, given };
}

/** What two back ends make of one program. */
export interface Agreement {
  readonly file: string;
  /** The largest difference of any output, relative to the largest element of its tensor. */
  readonly error: number;
  /** What `error` may be: BOUND, but where numbers of 11 bits are in between one unit in the last place of these. */
  readonly bound: number;
  /** What a back end says that does not run the model: a `ModelHost` moves to the CPU or to WASM then. */
  readonly refused?: string;
  /** The reason, where it is one of `UNKNOWN_TYPES`. */
  readonly known?: string;
  /** Where the error is larger: decisions that differ, of how many, and the error once they are given. */
  readonly decided?: { readonly flipped: number; readonly all: number; readonly error: number };
}

/** Numbers that WebGPU does not have here; WGSL has no float64, and float16 where the graphics card has it. */
const UNKNOWN_TYPES: readonly { readonly type: DataType; readonly reason: string }[] = [
  { type: 'float64', reason: 'has float64' },
  { type: 'float16', reason: 'has float16, and the adapter in software has not' },
];

/** Of decisions that differ: more than these are no accidents of rounding. */
const FLIPPED = 1e-5;

export const agrees = ({ error, bound, decided }: Agreement): boolean =>
  error <= bound ||
  (decided !== undefined && decided.error <= bound && decided.flipped > 0 && decided.flipped <= FLIPPED * decided.all);

/** Runs programs somewhere, one after another. */
export type Runner = (programs: readonly Program[]) => Promise<readonly Outcome[]>;

/** The gradients on a back end beside the CPU's; where they differ, again with the CPU's decisions. `lower` suits programs to it. */
export async function compareCommitted(
  gradients: readonly CommittedGradient[],
  run: Runner,
  lower: (model: Model) => Model,
): Promise<Agreement[]> {
  const there = ({ file }: CommittedGradient, model: Model, feeds: NamedTensors): Program => {
    const program = encode(file, lower(model));
    const files = [...new Set(externalWeights(readModel(program)).map(({ storage }) => storage.location))];
    return { name: file, model: program, feeds, weights: { folder: folderOf(file), files } };
  };
  const outcomes = await run(gradients.map((each) => there(each, each.program, each.feeds)));
  const agreements: Agreement[] = [];
  for (const [at, gradient] of gradients.entries()) {
    const { file, program, feeds, expected } = gradient;
    const bound = hasType(program, 'float16') ? Math.max(BOUND, 2 ** -10) : BOUND;
    const outcome = outcomes[at]!;
    if (typeof outcome === 'string') {
      const known = UNKNOWN_TYPES.find(({ type }) => hasType(program, type))?.reason;
      agreements.push({ file, error: Infinity, bound, refused: outcome, ...(known === undefined ? {} : { known }) });
      continue;
    }
    const error = relativeError(expected, outcome);
    if (error <= bound) {
      agreements.push({ file, error, bound });
      continue;
    }
    const { telling, names, own, given } = await onItsDecisions(gradient);
    const [told, answered] = await run([there(gradient, telling, feeds), there(gradient, given.program, given.feeds)]);
    if (typeof told !== 'object' || typeof answered !== 'object') agreements.push({ file, error, bound });
    else {
      const decided = { ...flips(names, own, told), error: relativeError(expected, answered) };
      agreements.push({ file, error, bound, decided });
    }
  }
  return agreements;
}

/** Whether a program computes numbers of a type, or is fed them; weights alone that are cast do not count. */
function hasType(model: Model, type: DataType): boolean {
  const facts = inferGraph(model.graph, opsetOf(model));
  const computed = model.graph.nodes.flatMap(({ outputs }) => outputs);
  return [...model.graph.inputs.map(({ name }) => name), ...computed].some((name) => facts.get(name)?.type === type);
}

/** The largest difference relative to the largest element of its tensor; infinite where shapes differ or a number is none. */
function relativeError(expected: NamedTensors, actual: NamedTensors): number {
  return Object.entries(expected).reduce((worst, [name, tensor]) => {
    const other = actual[name];
    if (other === undefined || other.dims.join() !== tensor.dims.join()) return Infinity;
    const [ours, theirs] = [numbers(other), numbers(tensor)];
    let [apart, size] = [0, 0];
    theirs.forEach((value, at) => {
      const difference = Math.abs(value - ours[at]!);
      apart = Number.isNaN(difference) ? Infinity : Math.max(apart, difference);
      size = Math.max(size, Math.abs(value));
    });
    return Math.max(worst, apart === 0 ? 0 : apart / size);
  }, 0);
}

const numbers = (tensor: DenseTensor): readonly number[] =>
  tensor.type === 'float16' ? Array.from(tensor.data as Uint16Array, fromFloat16) : numbersOf(tensor);

/** Exports of reference/architectures have inputs of their own: some are made for their length. */
function knownFeeds(model: Model, file: string): NamedTensors {
  return file.includes('/architectures/') ? feedsOf(model, readReference(path.dirname(path.join(root, file)))) : {};
}

function inputOf(file: string, { name, type, dims }: ValueInfo): DenseTensor {
  const own = dims!.map((dim: Dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : LENGTH));
  if (isFloat(type)) return random(`${file} ${name}`, type, own);
  const draw = chance(hash(`${file} ${name}`));
  const kinds: readonly [RegExp, () => number][] = [
    [/mask|flag|use_/, () => 1],
    [/type/, () => 0],
    [/./, () => Math.floor(draw(...IDS))],
  ];
  const value = kinds.find(([pattern]) => pattern.test(name))![1];
  return { type, dims: own, data: numbersToData(type, Array.from({ length: sizeOf(own) }, value)) };
}

function random(name: string, type: DenseTensor['type'], dims: readonly number[]): DenseTensor {
  const draw = chance(hash(name));
  return {
    type,
    dims,
    data: numbersToData(
      type,
      Array.from({ length: sizeOf(dims) }, () => draw()),
    ),
  };
}
