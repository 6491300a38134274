/** The analyses of `onnxray attention`, each a name, its options and how it runs. */
import { UsageError, UserError } from '../onnx/index.ts';
import type { Scores } from '../explanation/index.ts';
import { readOptions } from '../programs/index.ts';
import type { OptionSpecs, OptionValue, OptionsOf } from '../programs/index.ts';
import { nearestNames } from '../tasks/core.ts';
import { clusters, dependencies, induction } from './analyses-heads.ts';
import { THROUGH_LAYERS } from './analyses-layers.ts';
import type { AnalysisContext, AttentionAnalysis } from './analysis.ts';
import { blockResult, chosen, defineAnalysis, measured } from './analysis.ts';
import { ATTENTION_VALUES, captureAttention } from './capture.ts';
import type { Captured, CapturedBlock } from './capture.ts';
import type { AttentionTarget } from './chefer.ts';
import { effectiveAttention } from './effective.ts';
import { findSinks, measureHeads, tokenClasses } from './measures.ts';
import { attentionNorms } from './norms.ts';
import type { Axis, Found } from './result.ts';

const BY_HEAD: readonly Axis[] = ['batch', 'head'];
const MATRIX: readonly Axis[] = ['batch', 'head', 'query', 'key'];

/** One captured value per block, as its measure. */
async function one(
  context: AnalysisContext,
  what: Captured,
  name: string,
  axes: readonly Axis[],
  target?: AttentionTarget,
): Promise<Found> {
  const found = await captureAttention(context.host, context.tensors, {
    ...chosen(context),
    values: ['size', what],
    ...(target === undefined ? {} : { target }),
  });
  return {
    blocks: found.map(({ block, values }) => {
      const value = values[name];
      return blockResult(block, context, {
        ...lengths(values),
        ...(value === undefined ? {} : { measure: measured(value, axes) }),
      });
    }),
    warnings: found.some(({ values }) => values[name] === undefined)
      ? [`${name} is not for cross-attention, whose keys are of another sequence: those blocks have none`]
      : [],
  };
}

function lengths(values: CapturedBlock['values']): { readonly queries: number; readonly keys: number } {
  return { queries: values['size']!.data[2]!, keys: values['size']!.data[3]! };
}

const VALUE_AXES: Readonly<Record<string, readonly Axis[]>> = {
  probabilities: MATRIX,
  scores: MATRIX,
  queries: ['batch', 'head', 'query', 'size'],
  keys: ['batch', 'head', 'key', 'size'],
  values: ['batch', 'head', 'key', 'size'],
  context: ['batch', 'head', 'query', 'size'],
  hidden: ['batch', 'key', 'hidden'],
};

const probabilities = defineAnalysis({
  name: 'probabilities',
  summary: 'attention as it is: every head, query and key; or another value of the blocks',
  options: {
    value: { kind: 'choice', default: 'probabilities', choices: ATTENTION_VALUES, help: 'what to show' },
  },
  needs: 'input',
  scope: 'heads',
  matrices: true,
  async run(context, { value }) {
    const found = await captureAttention(context.host, context.tensors, {
      ...chosen(context),
      values: ['size', value],
    });
    return {
      blocks: found.map(({ block, values }) => {
        const scores = values[value];
        const own = scores === undefined ? undefined : measured(scores, VALUE_AXES[value]!);
        return blockResult(block, context, {
          ...lengths(values),
          ...(own === undefined ? {} : value === 'probabilities' ? { probabilities: own } : { measure: own }),
        });
      }),
    };
  },
});

const entropy = defineAnalysis({
  name: 'entropy',
  summary: 'how evenly each head spreads its attention, in nats: 0 is one key, ln(keys) is all alike',
  options: {
    by: { kind: 'choice', default: 'head', choices: ['head', 'query'], help: 'the mean of each head, or each query' },
  },
  needs: 'input',
  scope: 'heads',
  async run(context, { by }) {
    const found = await captureAttention(context.host, context.tensors, {
      ...chosen(context),
      values: ['size', 'entropy', 'entropy-by-query'],
    });
    const masked = new Set(found.flatMap(({ values }) => queriesWithoutKeys(values['entropy-by-query']!)));
    return {
      blocks: found.map(({ block, values }) => {
        const measure =
          by === 'head'
            ? measured(values['entropy']!, BY_HEAD)
            : measured(values['entropy-by-query']!, ['batch', 'head', 'query']);
        return blockResult(block, context, { ...lengths(values), measure });
      }),
      warnings:
        masked.size === 0
          ? []
          : [`${masked.size} queries are masked from every key: they attend to nothing, and have no entropy`],
    };
  },
});

/** Positions of queries that are masked from every key, of [batch, heads, queries]: their entropy is no number. */
function queriesWithoutKeys({ dims, data }: Scores): readonly number[] {
  return Array.from(data, (entropy, at) => (Number.isNaN(entropy) ? at % dims[2]! : -1)).filter((at) => at >= 0);
}

const distance = defineAnalysis({
  name: 'distance',
  summary: 'how far each head looks on average, in tokens',
  options: {},
  needs: 'input',
  scope: 'heads',
  run: (context) => one(context, 'distance', 'distance', BY_HEAD),
});

const confidence = defineAnalysis({
  name: 'confidence',
  summary: 'the largest probability of each query, averaged by head (Voita et al. 2019)',
  options: {},
  needs: 'input',
  scope: 'heads',
  run: (context) => one(context, 'confidence', 'confidence', BY_HEAD),
});

const received = defineAnalysis({
  name: 'received',
  summary: 'what each key receives from all queries, by head',
  options: {},
  needs: 'input',
  scope: 'heads',
  run: (context) => one(context, 'received', 'received', ['batch', 'head', 'key']),
});

const masses = defineAnalysis({
  name: 'masses',
  summary:
    'share of each head’s attention on the previous, next, same and first token, [CLS], [SEP], punctuation and rare tokens',
  options: {
    rare: { kind: 'integer', default: null, min: 0, help: 'ids from this on count as rare (default: no such class)' },
  },
  needs: 'input',
  scope: 'heads',
  async run(context, { rare }) {
    const { text } = context;
    const classes = text === undefined ? {} : tokenClasses(text, rare ?? undefined);
    const found = await measureHeads(context.host, context.tensors, classes, chosen(context));
    return {
      blocks: found.map(({ block, masses: own, queries, keys }) => {
        const names = Object.keys(own);
        const [batch, heads] = own['first']!.dims as [number, number];
        const data = new Float32Array(batch * heads * names.length);
        names.forEach((name, at) => own[name]!.data.forEach((mass, head) => (data[head * names.length + at] = mass)));
        const scores = { dims: [batch, heads, names.length], data };
        return blockResult(block, context, {
          queries,
          keys,
          measure: measured(scores, ['batch', 'head', 'class'], names),
        });
      }),
    };
  },
});

const sinks = defineAnalysis({
  name: 'sinks',
  summary: 'keys that draw attention whatever the query, and how much (Xiao et al. 2023)',
  options: { threshold: { kind: 'number', default: 0.3, above: 0, help: 'mean attention from which a key is a sink' } },
  needs: 'input',
  scope: 'heads',
  async run(context, { threshold }) {
    const { blocks } = await received.run(context, {});
    const scores = blocks.map((block) => ({ block, received: block.measure! }));
    const tokens = context.text?.tokens;
    return {
      blocks,
      sinks: findSinks(scores, threshold).map(({ block, head, key, mass }) => ({
        block: block.index,
        layer: block.layer,
        head: context.heads?.[head] ?? head,
        key,
        token: tokens?.[key] ?? null,
        mass,
      })),
    };
  },
});

const top = defineAnalysis({
  name: 'top',
  summary: 'the keys each query attends to most, by head',
  options: { count: { kind: 'integer', default: 3, min: 1, help: 'how many' } },
  needs: 'input',
  scope: 'heads',
  async run(context, { count }) {
    const found = await captureAttention(context.host, context.tensors, {
      ...chosen(context),
      values: ['size', { top: count }],
    });
    return {
      blocks: found.map(({ block, values }) =>
        blockResult(block, context, {
          ...lengths(values),
          measure: measured(values['top']!, ['batch', 'head', 'query', 'rank']),
          topKeys: Array.from(values['top-keys']!.data),
        }),
      ),
    };
  },
});

const neuron = defineAnalysis({
  name: 'neuron',
  summary: 'the vectors of one query and its keys, whose products make a head look where it looks (Vig 2019)',
  options: { query: { kind: 'integer', default: 0, min: 0, help: 'the position that looks' } },
  needs: 'input',
  scope: 'heads',
  async run(context, { query }) {
    if (context.heads === undefined || context.blocks?.length !== 1)
      throw new UserError(
        'neuron is of one head: choose it with --layer and --head; where several blocks share a number, by the path that inspect prints',
      );
    const [size] = await captureAttention(context.host, context.tensors, { ...chosen(context), values: ['size'] });
    const { queries } = lengths(size!.values);
    if (query >= queries)
      throw new UserError(`there is no query ${query}: the input has positions 0 to ${queries - 1}`);
    const found = await captureAttention(context.host, context.tensors, {
      ...chosen(context),
      queries: [query],
      values: ['size', 'probabilities', 'queries', 'keys'],
    });
    return {
      rows: [query],
      blocks: found.map(({ block, values }) =>
        blockResult(block, context, {
          ...lengths(values),
          probabilities: measured(values['probabilities']!, MATRIX),
          vectors: {
            queries: measured(values['queries']!, VALUE_AXES['queries']!),
            keys: measured(values['keys']!, VALUE_AXES['keys']!),
          },
        }),
      ),
    };
  },
});

const importance = defineAnalysis({
  name: 'importance',
  summary: 'how much the answer would change, to first order, were a head scaled away (Michel et al. 2019)',
  options: {},
  needs: 'target',
  scope: 'heads',
  run: async (context) => one(context, 'importance', 'importance', BY_HEAD, await context.target()),
});

const gradients = defineAnalysis({
  name: 'gradients',
  summary: 'the gradient of the answer in each attention probability',
  options: {},
  needs: 'target',
  scope: 'heads',
  matrices: true,
  run: async (context) => one(context, 'gradients', 'gradients', MATRIX, await context.target()),
});

const gradientTimesAttention = defineAnalysis({
  name: 'gradient-x-attention',
  summary: 'each attention probability times the gradient of the answer in it',
  options: {},
  needs: 'target',
  scope: 'heads',
  matrices: true,
  run: async (context) => one(context, 'gradient-x-attention', 'gradient-x-attention', MATRIX, await context.target()),
});

const norms = defineAnalysis({
  name: 'norms',
  summary: 'the length of the vector each query takes from each key, heads summed (Kobayashi et al. 2020, 2021)',
  options: {
    of: {
      kind: 'choice',
      default: 'attention',
      choices: ['attention', 'residual', 'layer-norm'],
      help: 'attention alone, with the residual, or through the layer norm too',
    },
  },
  needs: 'input',
  scope: 'blocks',
  async run(context, { of }) {
    const { blocks, signal } = chosen(context);
    const options = { ...(blocks === undefined ? {} : { blocks }), ...(signal === undefined ? {} : { signal }), of };
    const found = await attentionNorms(context.host, context.tensors, options);
    return {
      blocks: found.map(({ block, norms: own }) =>
        blockResult(block, context, {
          queries: own.dims[0]!,
          keys: own.dims[1]!,
          measure: measured(own, ['query', 'key']),
        }),
      ),
    };
  },
});

const effective = defineAnalysis({
  name: 'effective',
  summary: 'attention without the part that no output depends on (Brunner et al. 2020)',
  options: {},
  needs: 'input',
  scope: 'heads',
  matrices: true,
  async run(context) {
    const found = await effectiveAttention(context.host, context.tensors, chosen(context));
    return {
      blocks: found.map(({ block, attention }) =>
        blockResult(block, context, {
          queries: attention.dims[2]!,
          keys: attention.dims[3]!,
          measure: measured(attention, MATRIX),
        }),
      ),
    };
  },
});

/** Every analysis, in the order of --help. */
export const ANALYSES: readonly AttentionAnalysis[] = [
  probabilities,
  entropy,
  distance,
  confidence,
  masses,
  received,
  sinks,
  top,
  neuron,
  induction,
  clusters,
  dependencies,
  importance,
  gradients,
  gradientTimesAttention,
  norms,
  effective,
  ...THROUGH_LAYERS,
];

/** An analysis by name. Throws a UsageError that says which are near. */
export function findAnalysis(name: string): AttentionAnalysis {
  const found = ANALYSES.find((each) => each.name === name);
  if (found !== undefined) return found;
  const names = ANALYSES.map((each) => each.name);
  const near = nearestNames(name, names, (each) => [each]).slice(0, 3);
  throw new UsageError(
    `unknown analysis "${name}"; nearest: ${near.join(', ')}; "onnxray attention --help" lists them`,
  );
}

/** An analysis's options, defaults filled in. Throws a UsageError. */
export function analysisOptions(
  { name, options }: AttentionAnalysis,
  given: Readonly<Record<string, OptionValue>>,
): OptionsOf<OptionSpecs> {
  return readOptions(name, options, given);
}
