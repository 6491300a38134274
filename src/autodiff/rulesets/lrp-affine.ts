/** The relevance rules of operators with weights; r = R / s(z). */
import type { GraphBuilder, ValueName } from '../../onnx/index.ts';
import type { Affine } from './affine.ts';
import { applyAffine, transposeAffine } from './affine.ts';
import { negativePart, positivePart, stabilize } from './scene.ts';

export type LrpRule =
  /** x W^T r, z = W x + b. */
  | { readonly rule: 'epsilon' }
  /** Favours what speaks for the output: weights w + gamma w+ where z > 0, w + gamma w- where z < 0. */
  | { readonly rule: 'gamma'; readonly gamma: number }
  /** alpha times the share of what is positive minus beta times the share of what is negative; alpha - beta = 1. */
  | { readonly rule: 'alpha-beta'; readonly alpha: number; readonly beta: number }
  /** Only positive contributions: alpha = 1, beta = 0. */
  | { readonly rule: 'z-plus' }
  /** W^2, whatever the input. */
  | { readonly rule: 'w-square' }
  /** Equal shares over the receptive field, whatever the weights. */
  | { readonly rule: 'flat' }
  /** For inputs within bounds: x W^T r - low W+^T r - high W-^T r; bounds of the input itself unless given. */
  | { readonly rule: 'z-box'; readonly low: number | null; readonly high: number | null };

/** The relevance of an affine operator's data. */
export function affineRelevance(
  b: GraphBuilder,
  affine: Affine,
  rule: LrpRule,
  R: ValueName,
  epsilon: number,
): ValueName {
  const x = affine.node.inputs[affine.data]!;
  const { weight: w, bias } = affine;
  const forward = (data: ValueName, weight: ValueName, offset?: ValueName) =>
    applyAffine(b, affine, data, weight, offset);
  const back = (weight: ValueName, r: ValueName) => transposeAffine(b, affine, x, weight, r);
  const ratio = (z: ValueName) => b.div(R, stabilize(b, z, epsilon));
  /** z = x+ w1 + x- w2 + bias, and what it sends back: x+ (w1^T r) + x- (w2^T r). */
  const pair = (plus: ValueName, minus: ValueName, offset: ValueName | undefined) => {
    const [above, below] = [positivePart(b, x), negativePart(b, x)];
    const z = b.add(forward(above, plus, offset), forward(below, minus));
    return {
      z,
      send: (r: ValueName) => b.add(b.mul(above, back(plus, r)), b.mul(below, back(minus, r))),
    };
  };
  const share = ({ z, send }: ReturnType<typeof pair>) => send(ratio(z));
  const [plus, minus] = [() => positivePart(b, w), () => negativePart(b, w)];
  switch (rule.rule) {
    case 'epsilon':
      return b.mul(x, back(w, ratio(affine.output)));
    case 'z-plus':
      return share(pair(plus(), minus(), bias && positivePart(b, bias)));
    case 'alpha-beta': {
      const positive = share(pair(plus(), minus(), bias && positivePart(b, bias)));
      const negative = share(pair(minus(), plus(), bias && negativePart(b, bias)));
      return b.sub(b.mul(b.scalar(rule.alpha, x), positive), b.mul(b.scalar(rule.beta, x), negative));
    }
    case 'gamma': {
      const grown = (value: ValueName, part: ValueName) => b.add(value, b.mul(b.scalar(rule.gamma, value), part));
      const [up, down] = [grown(w, plus()), grown(w, minus())];
      const z = affine.output;
      const zero = b.scalar(0, z);
      const above = pair(up, down, bias && grown(bias, positivePart(b, bias)));
      const below = pair(down, up, bias && grown(bias, negativePart(b, bias)));
      return b.add(
        above.send(b.where(b.greater(z, zero), ratio(above.z), zero)),
        below.send(b.where(b.less(z, zero), ratio(below.z), zero)),
      );
    }
    case 'w-square': {
      const squared = b.square(w);
      return back(squared, ratio(forward(b.onesLike(x), squared, bias && b.square(bias))));
    }
    case 'flat': {
      const ones = b.onesLike(w);
      return back(ones, ratio(forward(b.onesLike(x), ones)));
    }
    case 'z-box': {
      const axes = Array.from({ length: b.rank(x) }, (_, axis) => axis);
      const bound = (given: number | null, operator: 'ReduceMin' | 'ReduceMax') =>
        b.expandLike(given === null ? b.op(operator, [x, b.int64s(axes)]) : b.scalar(given, x), x);
      const [low, high] = [bound(rule.low, 'ReduceMin'), bound(rule.high, 'ReduceMax')];
      const z = b.sub(b.sub(forward(x, w), forward(low, plus())), forward(high, minus()));
      const r = ratio(z);
      return b.sub(b.sub(b.mul(x, back(w, r)), b.mul(low, back(plus(), r))), b.mul(high, back(minus(), r)));
    }
  }
}
