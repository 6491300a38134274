/**
 * How words work on meaning, after Li, Chen, Hovy & Jurafsky 2016, https://arxiv.org/abs/1506.01066: heat maps with a row
 * for each token and a column for each dimension of its embedding, or unit of a layer.
 */
import { UserError, sizeOf } from '../../onnx/index.ts';
import type { DenseTensor } from '../../onnx/index.ts';
import type { AttributionContext, Feature } from '../../programs/index.ts';
import { defineMethod, findPlayers } from '../../programs/index.ts';

/** The token ids that are scored; Li et al. speak of words alone. */
function tokensOf(
  context: AttributionContext,
  method: string,
): { readonly feature: Feature; readonly ids: DenseTensor } {
  const feature = context.features.find(({ kind }) => kind === 'tokens');
  const ids = feature && context.inputs[feature.input];
  if (feature === undefined || ids === undefined)
    throw new UserError(`${method} is for models that read token ids, and this one does not`);
  return { feature, ids };
}

/**
 * |d target / d e| for every dimension of every token's embedding e: how strongly the answer reacts to each.
 * Scores [tokens, hidden] under `INPUT dimensions`. Known flaw: as saliency, a linear look at one point.
 * Cost: one forward and one backward pass.
 */
export const firstDerivativeSaliency = defineMethod({
  name: 'first-derivative-saliency',
  summary: 'how strongly the answer reacts to each dimension of each token’s embedding, as a heat map',
  options: {},
  usesBaseline: false,
  layers: 'none',
  async attribute(context) {
    const { feature } = tokensOf(context, 'first-derivative-saliency');
    const runner = await context.open({ rows: 'alphas', backward: { reduction: 'raw' } });
    const { scores, values } = await runner.run({ weights: [1] }, await context.target(runner));
    const { dims, data } = scores[feature.input]!;
    return {
      scores: { [`${feature.input} dimensions`]: { dims: dims.slice(1), data: data.map(Math.abs) } },
      value: values[0]!,
      baselineValue: null,
      sumsTo: null,
    };
  },
});

/**
 * (e_ij - mean_i e_ij)^2 for dimension j of token i's embedding: what sets a word apart from the others around it.
 * Scores [tokens, hidden] under `INPUT dimensions`. Known flaw: says nothing of what the model makes of it; the answer
 * plays no part. Cost: one forward pass, for the answer's value.
 */
export const varianceSaliency = defineMethod({
  name: 'variance-saliency',
  summary: 'how far each dimension of each token’s embedding is from the mean of the text, as a heat map',
  options: {},
  usesBaseline: false,
  layers: 'none',
  async attribute(context) {
    const { feature, ids } = tokensOf(context, 'variance-saliency');
    const table = context.embeddingTable(feature);
    if (table === undefined)
      throw new UserError(
        'variance-saliency needs the table of embeddings in the file as float32, and it is not there',
      );
    const [tokens, hidden] = [sizeOf(ids.dims), table.dims[1]!];
    const rows = Array.from(ids.data as ArrayLike<number | bigint>, (id) =>
      (table.data as Float32Array).subarray(Number(id) * hidden, (Number(id) + 1) * hidden),
    );
    const data = new Float64Array(tokens * hidden);
    for (let j = 0; j < hidden; j++) {
      const mean = rows.reduce((sum, row) => sum + row[j]!, 0) / tokens;
      rows.forEach((row, i) => (data[i * hidden + j] = (row[j]! - mean) ** 2));
    }
    const runner = await context.open({ rows: 'alphas' });
    const { values } = await runner.run({ weights: [1] }, await context.target(runner));
    return {
      scores: { [`${feature.input} dimensions`]: { dims: [tokens, hidden], data } },
      value: values[0]!,
      baselineValue: null,
      sumsTo: null,
    };
  },
});

/**
 * The units of a layer as the text is read word by word: row i is the layer when tokens up to i are there and later ones
 * are as in the baseline (special tokens always stay). Shows how negation or emphasis changes what is made of a phrase.
 * Of a layer with a vector for each token, `position` says which is shown. Scores [tokens, units] under the layer's path.
 * Known flaw: the baseline's tokens are read as well. Cost: one forward pass for each token, one for the answer.
 */
export const composition = defineMethod({
  name: 'composition',
  summary: 'the units of a layer as the text is read token by token, as a heat map',
  options: {
    position: {
      kind: 'choice',
      default: 'first',
      choices: ['first', 'last', 'mean'],
      help: 'which token’s vector of the layer is shown',
    },
  },
  usesBaseline: true,
  layers: 'needs-layer',
  async attribute(context, { position }) {
    const layer = context.layer!;
    const { ids } = tokensOf(context, 'composition');
    const players = findPlayers(context, { features: 'auto', regions: null });
    const groups = Object.fromEntries(
      Object.entries(players.groups).map(([input, { dims, data }]) => {
        const special = BigInt(players.count);
        const own = (data as BigInt64Array).map((group, at) => (group === special ? BigInt(sizeOf(dims)) : BigInt(at)));
        return [input, { type: 'int64', dims, data: own } as const];
      }),
    );
    const answer = await context.open({ rows: 'masks', binary: true, groups });
    const target = await context.target(answer);
    const tokens = sizeOf(ids.dims);
    const upTo = (last: number) =>
      Float32Array.from({ length: tokens + 1 }, (_, at) => Number(at <= last || at === tokens));
    const ends = await answer.run({ weights: [1, 1], masks: (row) => upTo(row === 0 ? -1 : tokens) }, target);
    const runner = await context.open({ rows: 'masks', binary: true, groups, output: layer.value });
    const rows: ArrayLike<number>[] = [];
    for (let token = 0; token < tokens; token++) {
      const { output } = await runner.run({ weights: [1], masks: () => upTo(token) }, runner.blankTarget());
      rows.push(unitsOf(output, position));
    }
    const units = rows[0]!.length;
    const data = new Float64Array(tokens * units);
    rows.forEach((row, token) => data.set(row, token * units));
    return {
      scores: { [layer.input]: { dims: [tokens, units], data } },
      value: ends.values[1]!,
      baselineValue: ends.values[0]!,
      sumsTo: null,
    };
  },
});

/** The vector shown of a layer [1, units] or [1, tokens, units]. */
function unitsOf({ dims, data }: DenseTensor, position: string): Float64Array {
  const units = dims.at(-1)!;
  const all = Float64Array.from(data as ArrayLike<number>);
  const count = all.length / units;
  if (position !== 'mean') {
    const at = position === 'last' ? count - 1 : 0;
    return all.subarray(at * units, (at + 1) * units);
  }
  const mean = new Float64Array(units);
  all.forEach((value, at) => (mean[at % units]! += value / count));
  return mean;
}
