/** Methods that read attention: a score for each patch of a picture, each token of a text, or both. */
import { attentionTowers } from '../../attention/index.ts';
import { UserError } from '../../onnx/index.ts';
import { attentionMap, defineMethod } from '../../programs/index.ts';
import type {
  Attribution,
  AttributionContext,
  AttentionForm,
  AttentionMapRequest,
  Method,
} from '../../programs/index.ts';
import type { Scores } from '../../explanation/index.ts';
import { pictureOf } from './cam/picture.ts';
import { foldTokens } from './cam/target-layer.ts';

/**
 * Attention rollout: (A + I) / 2, mean over heads, multiplied through the layers; the row of the token that the answer is
 * read off, or the mean of their rows. It does not look at the answer. Known flaw: follows where attention could have
 * carried something, not what was carried. Abnar & Zuidema 2020, https://arxiv.org/abs/2005.00928.
 * Cost: one forward pass, and a backward pass behind the last attention.
 */
export const attentionRollout = defineMethod({
  name: 'rollout',
  summary: 'attention multiplied through the layers, whatever the answer (rollout)',
  options: {},
  usesBaseline: false,
  layers: 'none',
  attribute: (context) => readAttention(context, 'rollout'),
});

/**
 * Generic attention explainability: with Abar = mean over heads of the positive part of gradient * A, R += Abar R from
 * R = I, layer by layer; the rows of R that the answer is read off. For a picture and a text each tower by itself, as the
 * paper does for CLIP. Known flaw: negative evidence is cut off.
 * Chefer, Gur & Wolf 2021, https://arxiv.org/abs/2103.15679. Cost: one forward and one backward pass.
 */
export const cheferRelevance = defineMethod({
  name: 'chefer',
  summary: 'positive gradient x attention added up through the layers (Chefer et al. 2021)',
  options: {},
  usesBaseline: false,
  layers: 'none',
  attribute: (context) => readAttention(context, 'chefer'),
});

/**
 * LeGrad: mean over layers, heads and queries of the positive part of d s_l / d A_l, s_l what the model's own head answers to
 * layer l: to the mean of its tokens, as the authors do, or with `pool=model` to what the model reads. Before the
 * authors' scaling to 0 and 1. Known flaw: early layers are read by a head that was not trained on them.
 * Bousselham et al. 2024, https://arxiv.org/abs/2404.03214. Cost: one forward pass, and for each layer the head and a
 * backward pass through that layer.
 */
export const legrad = defineMethod({
  name: 'legrad',
  summary: 'positive gradients of each layer’s own answer in its attention (LeGrad)',
  options: {
    pool: { kind: 'choice', default: 'mean', choices: ['mean', 'model'], help: 'the tokens a layer is read off' },
  },
  usesBaseline: false,
  layers: 'none',
  attribute: (context, { pool }) => readAttention(context, 'legrad', { pool }),
});

export const ATTENTION_METHODS: readonly Method[] = [attentionRollout, cheferRelevance, legrad];

async function readAttention(
  context: AttributionContext,
  form: AttentionForm,
  more: Pick<AttentionMapRequest, 'pool'> = {},
): Promise<Attribution> {
  const { features, inputs } = context;
  const names = features.map(({ input }) => input);
  const pictures = names.filter((name) => inputs[name]?.dims.length === 4);
  // The mean over its tokens is no answer a text encoder was trained to be read off: beside a picture LeGrad leaves it out.
  const wanted = form === 'legrad' && pictures.length > 0 ? pictures : names;
  const towers = attentionTowers(context.model(), wanted, { streams: form === 'legrad' });
  const attention: AttentionMapRequest = {
    form,
    towers: towers.map(({ input, blocks }) => ({ input, blocks })),
    ...more,
  };
  const runner = await context.open({ rows: 'alphas', attention });
  const target = await context.target(runner);
  const { values, captured } = await runner.run({ weights: [1], alphas: [1] }, target);
  const scores: Record<string, Scores> = {};
  for (const { input, path } of towers) {
    const data = Float32Array.from(captured.get(attentionMap(input))![0]!);
    if (!pictures.includes(input)) {
      scores[input] = { dims: [1, data.length], data };
      continue;
    }
    const fold = foldTokens(data.length, 1, pictureOf(context, form));
    if (fold === undefined)
      throw new UserError(
        `the ${data.length} tokens of "${path}" are no grid over the picture: ${form} cannot be drawn`,
      );
    const { height, width, skip } = fold;
    scores[path] = { dims: [1, height, width], data: data.slice(skip, skip + height * width) };
  }
  return { scores, value: values[0]!, baselineValue: null, sumsTo: null };
}
