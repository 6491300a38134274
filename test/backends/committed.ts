/**
 * Every model that is in this repository, with one gradient of it: of all it answers, weighted at random, with respect to all
 * that can be scored. Inputs are made from the names of the inputs, so that no model can be left out for want of some.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { appendGradients } from '../../src/autodiff/index.ts';
import {
  GraphBuilder,
  foldPadding,
  int,
  isFloat,
  normalizeModel,
  numbersToData,
  pruneModel,
  sizeOf,
} from '../../src/onnx/index.ts';
import type { DenseTensor, Dim, Model, NamedTensors, ValueInfo } from '../../src/onnx/index.ts';
import { findFeatures } from '../../src/programs/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';
import { chance, hash } from '../models.ts';
import { feedsOf, readReference } from '../models/exports.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** Addresses of all models that are committed, beneath the root. */
export const COMMITTED: readonly string[] = ['test', 'zoo'].flatMap((folder) =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.onnx'))
    .map((file) => `${folder}/${file}`)
    .sort(),
);

/** A model's gradient as a program, with its inputs. Weights of more than a few kB stay in files of the model's folder. */
export interface CommittedGradient {
  readonly file: string;
  readonly program: Model;
  readonly feeds: NamedTensors;
}

const LENGTH = 6;
/** No padding, nor what begins or ends a sequence. */
const IDS = [3, 16] as const;

export async function committedGradient(file: string): Promise<CommittedGradient> {
  const host = await ModelHost.open(path.join(root, file), { cache: false, threads: 1 });
  const known = knownFeeds(host.model, file);
  const inputs = host.model.graph.inputs.map((info): [string, DenseTensor] => [
    info.name,
    known[info.name] ?? inputOf(file, info),
  ]);
  const given = Object.fromEntries(inputs);
  const dims = Object.fromEntries(inputs.map(([name, tensor]) => [name, tensor.dims]));
  const model = foldPadding(normalizeModel(host.original, { dims }));
  const session = await host.openVariant(model);
  const answer = await session.run(given).finally(() => session.release());
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
  return { file, program: pruneModel(b.build()), feeds: { ...given, ...Object.fromEntries(seeds) } };
}

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
