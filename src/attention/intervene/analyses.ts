/** The analyses by name, with their options, for whoever lets a person choose. */
import { UsageError } from '../../onnx/index.ts';
import { nearestNames } from '../../tasks/core.ts';
import { readOptions } from '../../programs/index.ts';
import type { OptionSpecs, OptionValue, OptionsOf } from '../../programs/index.ts';
import type { ModelHost } from '../../runtime/core.ts';
import { REPLACEMENTS, ablateEdges, ablateHeads, ablateLayers, ablateUniform } from './ablate.ts';
import { adversarialAttention } from './adversarial.ts';
import { correlateAttention } from './correlate.ts';
import { directAttribution } from './direct.ts';
import { eraseTopAttended } from './erasure.ts';
import { logitLens } from './lens.ts';
import { pruningCurve } from './prune.ts';
import type { QuestionOptions, Subject } from './question.ts';
import type { Intervention } from './result.ts';

/** Which part of the model or input an analysis looks at, where it can be told. */
export type Place = 'layer' | 'head' | 'query' | 'position';

export interface AblationRequest extends QuestionOptions {
  readonly subject: Subject;
  /** Another input, for analyses that take something from it. */
  readonly other?: Subject | undefined;
  readonly layer?: number | undefined;
  readonly head?: number | undefined;
  readonly query?: number | undefined;
  readonly position?: number | undefined;
  /** Names of the answer's classes. */
  readonly classes?: readonly string[] | undefined;
  /** Positions of special tokens. */
  readonly special?: readonly number[] | undefined;
  readonly seed?: number;
}

export interface Ablation<S extends OptionSpecs = OptionSpecs> {
  readonly name: string;
  /** One line for --help. */
  readonly summary: string;
  readonly options: S;
  readonly places: readonly Place[];
  run(host: ModelHost, request: AblationRequest, options: OptionsOf<S>): Promise<Intervention>;
}

/** Keeps an analysis' option types for its own code; the table sees the general type. */
function define<const S extends OptionSpecs>(analysis: Ablation<S>): Ablation {
  return analysis as unknown as Ablation;
}

const removal = {
  removal: {
    kind: 'choice',
    choices: ['auto', 'delete', 'attention'],
    default: 'auto',
    help: 'delete tokens, or let nothing attend to them (auto: delete where the input is tokens)',
  },
} as const;
const auto = <T extends string>(value: T | 'auto'): T | undefined => (value === 'auto' ? undefined : value);

/**
 * What `onnxray ablate` does, one name each. The lens and direct attribution take nothing out, and the tests of the debate
 * measure attention itself; they are here because they ask the same question of the same input (what does this part do
 * for this answer?) and give the same tables, so that one command with `--analysis`, as of `onnxray attention`, serves all.
 */
export const ABLATIONS: readonly Ablation[] = [
  define({
    name: 'heads',
    summary: 'the answer without each head',
    options: {
      by: { kind: 'choice', choices: REPLACEMENTS, default: 'zero', help: 'what stands in for a head' },
    },
    places: ['layer', 'head'],
    run: (host, { query: _q, position: _p, ...request }, { by }) => ablateHeads(host, { ...request, by }),
  }),
  define({
    name: 'layers',
    summary: 'the answer without the attention, the MLP, or the whole of each layer',
    options: {},
    places: ['layer'],
    run: (host, request) => ablateLayers(host, request),
  }),
  define({
    name: 'edges',
    summary: 'the answer when one token cannot attend to another',
    options: {
      renormalize: { kind: 'boolean', default: true, help: 'scale what is left of the attention to sum to 1' },
    },
    places: ['layer', 'head', 'query'],
    run: (host, request, { renormalize }) => ablateEdges(host, { ...request, renormalize }),
  }),
  define({
    name: 'uniform',
    summary: 'the answer when attention is spread evenly (Wiegreffe & Pinter 2019)',
    options: {},
    places: ['layer'],
    run: (host, request) => ablateUniform(host, request),
  }),
  define({
    name: 'prune',
    summary: 'the answer as heads are taken out, by importance (Michel et al. 2019) and at random',
    options: {
      draws: { kind: 'integer', default: 5, min: 1, help: 'random orders' },
      points: { kind: 'integer', default: 10, min: 1, help: 'points of the curve' },
    },
    places: [],
    run: (host, request, options) => pruningCurve(host, { ...request, ...options }),
  }),
  define({
    name: 'lens',
    summary: 'logit lens: what each layer would answer',
    options: {},
    places: ['position'],
    run: (host, request) => logitLens(host, request),
  }),
  define({
    name: 'direct',
    summary: 'direct logit attribution: what each layer and head adds to the answer along the residual stream',
    options: {},
    places: [],
    run: (host, request) => directAttribution(host, request),
  }),
  define({
    name: 'correlation',
    summary: 'whether attention ranks tokens as gradients and leaving out do (Jain & Wallace 2019)',
    options: removal,
    places: ['query'],
    run: (host, request, options) => correlateAttention(host, { ...request, removal: auto(options.removal) }),
  }),
  define({
    name: 'adversarial',
    summary: 'other attention that gives the same answer (Jain & Wallace 2019)',
    options: {
      epsilon: { kind: 'number', default: 0.01, above: 0, help: 'how far the answer may move' },
      steps: { kind: 'integer', default: 300, min: 1, help: 'steps of Adam' },
      starts: { kind: 'integer', default: 4, min: 1, help: 'starts, run side by side' },
    },
    places: ['layer', 'query'],
    run: (host, request, options) => adversarialAttention(host, { ...request, ...options }),
  }),
  define({
    name: 'erasure',
    summary: 'comprehensiveness and sufficiency of the tokens attended to most (ERASER)',
    options: { draws: { kind: 'integer', default: 5, min: 1, help: 'random orders' }, ...removal },
    places: ['layer', 'query'],
    run: (host, { special, ...request }, { draws, removal: how }) =>
      eraseTopAttended(host, { ...request, draws, removal: auto(how), kept: special }),
  }),
];

/** An analysis by name. Throws a UsageError that names the nearest ones. */
export function findAblation(name: string): Ablation {
  const found = ABLATIONS.find((each) => each.name === name);
  if (found !== undefined) return found;
  const near = nearestNames(
    name,
    ABLATIONS.map((each) => each.name),
  );
  throw new UsageError(`unknown analysis "${name}"; nearest: ${near.join(', ')}; "onnxray ablate --help" lists all`);
}

/** Options and places of an analysis, checked before a model is opened. Throws a UsageError. */
export function checkAblation(
  analysis: Ablation,
  given: Readonly<Record<string, OptionValue>>,
  places: readonly Place[],
  hasOther: boolean,
): OptionsOf<OptionSpecs> {
  const options = readOptions(analysis.name, analysis.options, given);
  for (const place of places)
    if (!analysis.places.includes(place)) {
      const own = analysis.places.map((each) => `--${each}`).join(', ');
      throw new UsageError(`${analysis.name} takes no --${place}${own === '' ? '' : `; it takes ${own}`}`);
    }
  const by = String(options['by']);
  if (by === 'other' && !hasOther) throw new UsageError('by=other needs the other input: --other');
  if (hasOther && by !== 'other' && by !== 'mean')
    throw new UsageError('--other goes with --option by=other or by=mean');
  return options;
}
