import type { LrpRule } from '../../autodiff/index.ts';
import { UsageError } from '../../onnx/index.ts';
import type { Method, OptionSpecs, OptionsOf } from '../../programs/index.ts';
import { defineSinglePass } from './single-pass.ts';

/**
 * Layer-wise relevance propagation: the answer is handed back, operator by operator, to what contributed to it. The
 * scores of `lrp-0` and `lrp-epsilon` sum to the answer less what biases and epsilon take. Each method is one rule for
 * all operators with weights, or a composite as in Zennit: one rule for convolutions, one for linear layers, one for the
 * first layer. Batch normalisation is merged into the layer before. Relevance starts as the answer's own value (as
 * Captum and iNNvestigate do; Zennit's default is 1). Sums share relevance by what each part adds, also in residual
 * connections written as a plain `+`, where hooks on modules see nothing and count it twice (zennit#236).
 * Known flaw: rules with only positive contributions (z-plus, alpha1-beta0) hardly depend on the class.
 * Bach et al. 2015, https://doi.org/10.1371/journal.pone.0130140; composites: Montavon et al. 2019,
 * https://doi.org/10.1007/978-3-030-28954-6_10; names: Zennit, https://arxiv.org/abs/2106.13200.
 * Cost: one forward pass and one backward pass, twice that for rules that tell positive from negative parts.
 */
function defineLrp<const S extends OptionSpecs>(
  name: string,
  summary: string,
  options: S,
  rules: (options: OptionsOf<S>) => {
    readonly convolution: LrpRule;
    readonly linear: LrpRule;
    readonly first?: LrpRule;
    readonly epsilon?: number;
  },
  conserves = false,
): Method {
  return defineSinglePass<S>({
    name,
    summary,
    options,
    sumsTo: conserves ? 'value' : null,
    backward: (given) => ({
      rules: { set: 'lrp', epsilon: STABILIZER, ...rules(given) },
      reduction: 'signed',
    }),
  });
}

/** Zennit's default for denominators. */
const STABILIZER = 1e-6;
/** Small enough not to be seen in float32, large enough to keep 0 / 0 away. */
const TINY = 1e-12;

const everywhere = (rule: LrpRule) => ({ convolution: rule, linear: rule });
const EPSILON: LrpRule = { rule: 'epsilon' };
const Z_PLUS: LrpRule = { rule: 'z-plus' };
const FLAT: LrpRule = { rule: 'flat' };
const ALPHA2_BETA1: LrpRule = { rule: 'alpha-beta', alpha: 2, beta: 1 };

/** The first layer's rule for inputs within bounds. */
function box(low: number | null, high: number | null): LrpRule {
  if (low !== null && high !== null && low >= high)
    throw new UsageError(
      `the lowest value an input can have must be below the highest, but low=${low} and high=${high}`,
    );
  return { rule: 'z-box', low, high };
}

const EPSILON_OPTION = {
  epsilon: { kind: 'number', default: STABILIZER, above: 0, help: 'what is added to denominators, with their sign' },
} as const;
const GAMMA_OPTION = {
  gamma: { kind: 'number', default: 0.25, above: 0, help: 'how much positive weights are favoured' },
} as const;
const BOX_OPTIONS = {
  low: {
    kind: 'number',
    default: null,
    above: -Infinity,
    help: 'lowest value an input can have; default: of this one',
  },
  high: {
    kind: 'number',
    default: null,
    above: -Infinity,
    help: 'highest value an input can have; default: of this one',
  },
} as const;

export const LRP_METHODS: readonly Method[] = [
  defineLrp(
    'lrp-0',
    'relevance shared in proportion to contributions',
    {},
    () => ({ ...everywhere(EPSILON), epsilon: TINY }),
    true,
  ),
  defineLrp(
    'lrp-epsilon',
    'relevance shared in proportion to contributions; weak and contradictory ones absorbed',
    EPSILON_OPTION,
    ({ epsilon }) => ({ ...everywhere(EPSILON), epsilon: epsilon! }),
    true,
  ),
  defineLrp('lrp-gamma', 'relevance with positive contributions favoured', GAMMA_OPTION, ({ gamma }) =>
    everywhere({ rule: 'gamma', gamma: gamma! }),
  ),
  defineLrp('lrp-alpha1-beta0', 'relevance of positive contributions only', {}, () =>
    everywhere({ rule: 'alpha-beta', alpha: 1, beta: 0 }),
  ),
  defineLrp('lrp-alpha2-beta1', 'relevance of positive contributions twice, less that of negative ones', {}, () =>
    everywhere(ALPHA2_BETA1),
  ),
  defineLrp('lrp-z-plus', 'relevance of positive contributions only', {}, () => everywhere(Z_PLUS)),
  defineLrp('lrp-w-square', 'relevance shared by squared weights, whatever the input', {}, () =>
    everywhere({ rule: 'w-square' }),
  ),
  defineLrp('lrp-flat', 'relevance shared equally over each receptive field', {}, () => everywhere(FLAT)),
  defineLrp(
    'lrp-zb',
    'relevance for inputs within bounds: the z-box rule in the first layer, epsilon behind it',
    { ...EPSILON_OPTION, ...BOX_OPTIONS },
    ({ epsilon, low, high }) => ({ ...everywhere(EPSILON), first: box(low, high), epsilon: epsilon! }),
  ),
  defineLrp(
    'lrp-epsilon-plus',
    'composite: z-plus for convolutions, epsilon for linear layers',
    EPSILON_OPTION,
    ({ epsilon }) => ({ convolution: Z_PLUS, linear: EPSILON, epsilon: epsilon! }),
  ),
  defineLrp(
    'lrp-epsilon-gamma-box',
    'composite: z-box for the first convolution, gamma for the others, epsilon for linear layers',
    { ...EPSILON_OPTION, ...GAMMA_OPTION, ...BOX_OPTIONS },
    ({ epsilon, gamma, low, high }) => ({
      convolution: { rule: 'gamma', gamma: gamma! },
      linear: EPSILON,
      first: box(low, high),
      epsilon: epsilon!,
    }),
  ),
  defineLrp(
    'lrp-epsilon-plus-flat',
    'composite: flat for the first layer, z-plus for convolutions, epsilon for linear layers',
    EPSILON_OPTION,
    ({ epsilon }) => ({ convolution: Z_PLUS, linear: EPSILON, first: FLAT, epsilon: epsilon! }),
  ),
  defineLrp(
    'lrp-epsilon-alpha2-beta1',
    'composite: alpha-beta (2, 1) for convolutions, epsilon for linear layers',
    EPSILON_OPTION,
    ({ epsilon }) => ({ convolution: ALPHA2_BETA1, linear: EPSILON, epsilon: epsilon! }),
  ),
  defineLrp(
    'lrp-epsilon-alpha2-beta1-flat',
    'composite: flat for the first layer, alpha-beta (2, 1) for convolutions, epsilon for linear layers',
    EPSILON_OPTION,
    ({ epsilon }) => ({ convolution: ALPHA2_BETA1, linear: EPSILON, first: FLAT, epsilon: epsilon! }),
  ),
];
