import { readFileSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { readTensors } from '../inputs/index.ts';
import { UsageError, UserError, fileProblem } from '../onnx/index.ts';
import type { NamedTensors, ValueInfo } from '../onnx/index.ts';
import { BASELINES, findBaseline } from '../attribution/index.ts';
import type { Baseline, Subject } from '../attribution/index.ts';
import type { OptionSpecs, OptionValue } from '../programs/index.ts';
import { PROVIDERS, defaultThreads } from '../runtime/index.ts';
import type { HostOptions, Provider } from '../runtime/index.ts';

/** Flags of every command that runs a model. */
export interface RuntimeFlags {
  readonly threads?: number;
  readonly provider: Provider;
  readonly quiet?: boolean;
}

export function addRuntimeFlags(command: Command): Command {
  return command
    .option('--threads <n>', 'threads onnxruntime uses (default: all cores)', threadCount)
    .addOption(new Option('--provider <name>', 'what runs the model').choices(PROVIDERS).default('cpu'))
    .option('--quiet', 'no progress on the terminal');
}

export function hostOptions({
  threads,
  provider,
  with: others,
}: RuntimeFlags & Pick<SubjectFlags, 'with'>): HostOptions {
  return { provider, ...(threads === undefined ? {} : { threads }), ...(others === undefined ? {} : { with: others }) };
}

/** Files that results about attention and interventions are written as. */
export const RESULT_FORMATS = ['html', 'svg', 'png', 'json'] as const;

/** Flags that say how a result about attention or an intervention is given out. */
export interface ResultFlags extends RuntimeFlags {
  readonly out?: string;
  readonly json?: boolean;
  readonly language: 'en' | 'zh';
}

export function addResultFlags(command: Command): Command {
  return addRuntimeFlags(
    command
      .option('--out <file>', 'write .html, .svg, .png or .json')
      .option('--json', 'print one JSON document')
      .addOption(new Option('--language <code>', 'of what is shown').choices(['en', 'zh']).default('en')),
  );
}

/** Flags of commands that have analyses with options. */
export interface AnalysisFlags {
  readonly analysis: string;
  readonly option?: Readonly<Record<string, OptionValue>>;
  readonly seed: number;
}

export function addAnalysisFlags(command: Command, help: string, preset: string): Command {
  return command
    .option('--analysis <name>', help, preset)
    .option('--option <key=value>', 'an option of the analysis; may be repeated', collectOption)
    .option('--seed <n>', 'seed of what has chance in it', wholeNumber, 0);
}

/** What a command's help says of an analysis or a method with options. */
export function describeChoice(
  { name, summary, options }: { readonly name: string; readonly summary: string; readonly options: OptionSpecs },
  flags = '',
): string {
  return [`  ${name}: ${summary}${flags}`, ...optionLines(options, '      ')].join('\n');
}

/** One line for each option. */
export const optionLines = (specs: OptionSpecs, indent = '  '): string[] =>
  Object.entries(specs).map(
    ([key, spec]) =>
      `${indent}--option ${key}=${spec.kind === 'choice' ? spec.choices.join('|') : spec.kind}: ${spec.help}`,
  );

/** Flags that say what is explained. */
export interface SubjectFlags {
  /** One, or with --image several. */
  readonly text?: readonly string[];
  readonly pair?: string;
  readonly image?: string;
  readonly inputs?: string;
  /** Further files of the same model. */
  readonly with?: readonly string[];
}

export function addSubjectFlags(command: Command): Command {
  return command
    .option('--text <text>', 'explain the answer to a text; with --image, how alike the two are', collectText)
    .option('--pair <text>', 'the second text of a pair, with --text')
    .option('--image <file>', 'explain the answer to a picture (PNG, JPEG, WebP)')
    .option('--inputs <file>', 'explain the answer to tensors: JSON { "<input>": { "dims", "type", "data" } }')
    .option(
      '--with <file>',
      'a further file of the same model: the text tower to the picture tower of CLIP, the decoder to an encoder; may be repeated',
      collectText,
    );
}

/** The one subject the flags name. */
export function readSubject({ text, pair, image, inputs }: SubjectFlags, declared: readonly ValueInfo[]): Subject {
  if (text !== undefined && text.length > 1)
    throw new UsageError('give one --text; "explain" takes several with --image, and the second of a pair is --pair');
  if (text !== undefined && image !== undefined && inputs === undefined) {
    if (pair !== undefined) throw new UsageError('--pair is the second of two texts: leave --image out');
    return { image, text: text[0]! };
  }
  const given = [text, image, inputs].filter((flag) => flag !== undefined);
  if (given.length !== 1)
    throw new UsageError(
      given.length === 0
        ? 'say what to explain: --text, --image or --inputs'
        : 'give only one of --text, --image and --inputs, or --image with --text for a model that compares the two',
    );
  if (pair !== undefined && text === undefined) throw new UsageError('--pair goes with --text');
  if (text !== undefined) return pair === undefined ? { text: text[0]! } : { text: text[0]!, pair };
  if (image !== undefined) return { image };
  return { tensors: readTensors(readText(inputs!), inputs!, declared) };
}

/** SPEC of --baseline: a name, a number, or @FILE.json. */
export function readBaseline(spec: string, declared: readonly ValueInfo[]): Baseline {
  if (spec.startsWith('@')) {
    const file = spec.slice(1);
    // A baseline may leave inputs out.
    return readTensors(readText(file), file, declared, { partial: true });
  }
  const number = readNumber(spec);
  if (!Number.isNaN(number)) return number;
  const name = findBaseline(spec);
  if (name === undefined)
    throw new UsageError(`unknown baseline "${spec}"; use ${BASELINES.join(', ')}, a number, or @FILE.json`);
  return name;
}

/** SPEC of --feature-mask: @FILE.json, the group of each element of an input; inputs may be left out. */
export function readFeatureMask(spec: string, declared: readonly ValueInfo[]): NamedTensors {
  if (!spec.startsWith('@'))
    throw new UsageError(`--feature-mask takes @FILE.json with the group of each element by input, not "${spec}"`);
  const file = spec.slice(1);
  const text = readText(file);
  // Whether a mask is as large as its input is looked at where the input is known.
  const masks = declared.map(({ name }): ValueInfo => ({ name, type: 'int64', dims: undefined }));
  try {
    return readTensors(text, file, masks, { partial: true });
  } catch (error) {
    throw error instanceof UserError ? new UserError(`--feature-mask: ${error.message}`, { cause: error }) : error;
  }
}

/** SPEC of --neuron: indices into the layer after the batch axis. */
export function readNeuron(spec: string): readonly number[] {
  const indices = spec.split(',').map((part) => readWhole(part.trim()));
  if (indices.some(Number.isNaN)) throw new UsageError(`--neuron takes indices such as "3" or "0,5", not "${spec}"`);
  return indices;
}

/** SPEC of --region: a pixel of the picture. */
export function readPlace(spec: string): readonly [number, number] {
  const [x, y, ...more] = spec.split(',').map(readNumber);
  if (x === undefined || y === undefined || more.length > 0 || !(x >= 0) || !(y >= 0))
    throw new UsageError(`--region takes a pixel of the picture such as "120,80", not "${spec}"`);
  return [x, y];
}

/** A file's text. Throws a UserError when it cannot be read. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`cannot read ${file}: ${fileProblem(error)}`, { cause: error });
  }
}

const collectText = (text: string, earlier: readonly string[] = []): readonly string[] => [...earlier, text];

/** Collects `--option key=value`, given any number of times. */
export function collectOption(
  pair: string,
  earlier: Readonly<Record<string, OptionValue>> = {},
): Record<string, OptionValue> {
  const at = pair.indexOf('=');
  if (at <= 0) throw new InvalidArgumentError('write it as key=value.');
  return { ...earlier, [pair.slice(0, at)]: pair.slice(at + 1) };
}

/** A whole number as people write it, or NaN: no sign, no fraction, nothing else, and not nothing. */
export const readWhole = (text: string): number => (/^\d{1,15}$/.test(text) ? Number(text) : Number.NaN);

export function wholeNumber(text: string): number {
  const number = readWhole(text);
  if (Number.isNaN(number)) throw new InvalidArgumentError('it must be a whole number.');
  return number;
}

export function positiveInteger(text: string): number {
  const number = readWhole(text);
  if (!(number >= 1)) throw new InvalidArgumentError('it must be a whole number of at least 1.');
  return number;
}

export function positiveNumber(text: string): number {
  const number = readNumber(text);
  if (!(number > 0)) throw new InvalidArgumentError('it must be a number above 0.');
  return number;
}

/** A finite number in decimal notation, or NaN. */
function readNumber(text: string): number {
  const number = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : Number.NaN;
}

/** More threads than this for each core only wait for one another; onnxruntime starts any number, and hangs. */
const THREADS_PER_CORE = 8;

function threadCount(text: string): number {
  const [number, most] = [positiveInteger(text), THREADS_PER_CORE * defaultThreads()];
  if (number > most) throw new InvalidArgumentError(`it may be ${most} at most: ${THREADS_PER_CORE} for each core.`);
  return number;
}
