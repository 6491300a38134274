/** Normalisations. All statistics are those of inference. */
import type { GraphBuilder, ValueName } from '../../onnx/index.ts';
import { floatAttribute, int, intAttribute, intsAttribute } from '../../onnx/index.ts';
import { unbroadcast } from '../broadcasting.ts';
import type { Pullback, Rule } from '../rule.ts';
import { rule } from '../rule.ts';

/** A per-channel vector as [C, 1, ...], to broadcast over [N, C, ...]. */
function perChannel(b: GraphBuilder, vector: ValueName, x: ValueName): ValueName {
  const rank = b.rank(x);
  return rank <= 2
    ? vector
    : b.unsqueeze(
        vector,
        Array.from({ length: rank - 2 }, (_, index) => index + 1),
      );
}

/** Sums over all axes but the channels'. */
function channelSum(b: GraphBuilder, value: ValueName): ValueName {
  const axes = Array.from({ length: b.rank(value) }, (_, axis) => axis).filter((axis) => axis !== 1);
  return b.sum(value, axes, false);
}

/** y = scale (x - mean) / sqrt(var + eps) + bias with given statistics: linear in x. */
const batchNorm = rule((b, node, dY) => {
  const [x, scale, , mean, variance] = node.inputs as [ValueName, ValueName, ValueName, ValueName, ValueName];
  const inverse = () =>
    b.reciprocal(b.sqrt(b.add(variance, b.scalar(floatAttribute(node, 'epsilon', 1e-5), variance))));
  const centred = () => b.sub(x, perChannel(b, mean, x));
  return [
    () => b.mul(dY, perChannel(b, b.mul(scale, inverse()), x)),
    () => b.mul(channelSum(b, b.mul(dY, centred())), inverse()),
    () => channelSum(b, dY),
    () => b.neg(b.mul(channelSum(b, dY), b.mul(scale, inverse()))),
    // d (var + eps)^(-1/2) = -1/2 (var + eps)^(-3/2)
    () => {
      const cubed = b.mul(inverse(), b.square(inverse()));
      return b.mul(channelSum(b, b.mul(dY, centred())), b.mul(b.mul(scale, cubed), b.scalar(-0.5, x)));
    },
  ];
});

/**
 * With xhat = (x - mean) rstd and g = dY scale: dX = rstd (g - mean(g) - xhat mean(g xhat)).
 * `axes` are normalised over.
 */
function standardizedGradient(
  b: GraphBuilder,
  g: ValueName,
  xhat: ValueName,
  rstd: ValueName,
  axes: readonly number[],
): ValueName {
  const projection = b.mul(xhat, b.mean(b.mul(g, xhat), axes));
  return b.mul(rstd, b.sub(b.sub(g, b.mean(g, axes)), projection));
}

function standardize(b: GraphBuilder, x: ValueName, axes: readonly number[], epsilon: number) {
  const centred = b.sub(x, b.mean(x, axes));
  const variance = b.mean(b.square(centred), axes);
  const rstd = b.reciprocal(b.sqrt(b.add(variance, b.scalar(epsilon, x))));
  return { xhat: b.mul(centred, rstd), rstd };
}

/** LayerNormalization; its optional outputs mean and rstd may carry gradients too, as second derivatives need. */
const layerNorm: Rule = (b, node, [dY, dMean, dRstd]) => {
  const [x, scale, bias] = node.inputs as [ValueName, ValueName, ValueName | undefined];
  const y = node.outputs[0]!;
  const first = b.axis(x, intAttribute(node, 'axis', -1));
  const axes = Array.from({ length: b.rank(x) - first }, (_, index) => first + index);
  const statistics = () => {
    // The kernel hands out its float32 statistics; for other types they are computed again in that type.
    if (b.type(x) !== 'float32') return standardize(b, x, axes, floatAttribute(node, 'epsilon', 1e-5));
    const [mean, rstd] = [b.siblingOutput(y, 1), b.siblingOutput(y, 2)];
    return { xhat: b.mul(b.sub(x, mean), rstd), rstd };
  };
  const input: Pullback = () => {
    const parts: ValueName[] = [];
    if (dY !== undefined) {
      const { xhat, rstd } = statistics();
      parts.push(standardizedGradient(b, b.mul(dY, scale), xhat, rstd, axes));
    }
    if (dMean !== undefined) parts.push(b.expandLike(b.div(dMean, b.count(x, axes, dMean)), x));
    if (dRstd !== undefined) {
      // d rstd = -rstd^3 mean((x - mean) dx) = -rstd^2 mean(xhat dx)
      const { xhat, rstd } = statistics();
      parts.push(b.neg(b.mul(b.mul(xhat, b.square(rstd)), b.div(dRstd, b.count(x, axes, dRstd)))));
    }
    return parts.reduce((left, right) => b.add(left, right));
  };
  return [
    input,
    dY !== undefined ? () => unbroadcast(b, b.mul(dY, statistics().xhat), scale) : undefined,
    dY !== undefined && bias ? () => unbroadcast(b, dY, bias) : undefined,
  ];
};

/** RMS norm: y = scale x r, r = (mean(x^2) + eps)^(-1/2): dX = r (g - xhat mean(g xhat)) with xhat = x r. */
const rmsNorm = rule((b, node, dY) => {
  const [x, scale] = node.inputs as [ValueName, ValueName];
  const first = b.axis(x, intAttribute(node, 'axis', -1));
  const axes = Array.from({ length: b.rank(x) - first }, (_, index) => first + index);
  const r = () =>
    b.reciprocal(b.sqrt(b.add(b.mean(b.square(x), axes), b.scalar(floatAttribute(node, 'epsilon', 1e-5), x))));
  return [
    () => {
      const [rstd, g] = [r(), b.mul(dY, scale)];
      const xhat = b.mul(x, rstd);
      return b.mul(rstd, b.sub(g, b.mul(xhat, b.mean(b.mul(g, xhat), axes))));
    },
    () => unbroadcast(b, b.mul(dY, b.mul(x, r())), scale),
  ];
});

/** InstanceNormalization: each channel of each sample is standardised over its positions. */
const instanceNorm = rule((b, node, dY) => {
  const [x, scale] = node.inputs as [ValueName, ValueName];
  const axes = Array.from({ length: b.rank(x) - 2 }, (_, index) => index + 2);
  const parts = () => standardize(b, x, axes, floatAttribute(node, 'epsilon', 1e-5));
  return [
    () => {
      const { xhat, rstd } = parts();
      return standardizedGradient(b, b.mul(dY, perChannel(b, scale, x)), xhat, rstd, axes);
    },
    () => channelSum(b, b.mul(dY, parts().xhat)),
    () => channelSum(b, dY),
  ];
});

/** GroupNormalization: channels in groups [N, G, C/G * ...] are standardised; scale is per channel since opset 21, per group before. */
const groupNorm = rule((b, node, dY) => {
  const [x, scale, bias] = node.inputs as [ValueName, ValueName, ValueName];
  const groups = intAttribute(node, 'num_groups', 1);
  const grouped = (value: ValueName) => b.reshape(value, b.concat([b.dimension(x, 0), b.int64s([groups, -1])], 0));
  const perGroup = b.opset < 21;
  const epsilon = floatAttribute(node, 'epsilon', 1e-5);
  const parts = () => standardize(b, grouped(x), [2], epsilon);
  /** Sums a gradient over everything but what the parameter has one of. */
  const total = (value: ValueName) => (perGroup ? b.sum(grouped(value), [0, 2], false) : channelSum(b, value));
  const scaled = () =>
    perGroup ? b.mul(grouped(dY), b.unsqueeze(scale, [1])) : grouped(b.mul(dY, perChannel(b, scale, x)));
  return [
    () => {
      const { xhat, rstd } = parts();
      return b.reshapeLike(standardizedGradient(b, scaled(), xhat, rstd, [2]), x);
    },
    () => total(b.mul(dY, b.reshapeLike(parts().xhat, x))),
    bias ? () => total(dY) : undefined,
  ];
});

/** MeanVarianceNormalization: no parameters, over batch and space unless said. */
const meanVariance = rule((b, node, dY) => [
  () => {
    const x = node.inputs[0]!;
    const axes = (intsAttribute(node, 'axes') ?? [0, 2, 3]).map((axis) => b.axis(x, axis));
    const { xhat, rstd } = standardize(b, x, axes, 1e-9);
    return standardizedGradient(b, dY, xhat, rstd, axes);
  },
]);

/** LpNormalization along one axis: y = x / |x|_p for p = 1, 2. */
const lpNorm = rule((b, node, dY) => {
  const [x, y] = [node.inputs[0]!, node.outputs[0]!];
  const axes = [b.axis(x, intAttribute(node, 'axis', -1))];
  return [
    () => {
      const one = intAttribute(node, 'p', 2) === 1;
      const norm = one ? b.sum(b.abs(x), axes) : b.sqrt(b.sum(b.square(x), axes));
      // y = x / n: dX = (dY - n' sum(dY y)) / n with n' = sign(x) for p = 1 and y for p = 2.
      const slope = (by: ValueName) => b.div(b.sub(dY, b.mul(one ? b.sign(x) : y, b.sum(b.mul(dY, y), axes))), by);
      // At the origin, where onnxruntime gives 0, it is taken as flat.
      const origin = b.equal(norm, b.scalar(0, norm));
      return b.where(origin, b.scalar(0, dY), slope(b.where(origin, b.scalar(1, norm), norm)));
    },
  ];
});

/**
 * LRN: y = x s^(-beta), s = k + alpha/n * (sum of x^2 over a window of channels).
 * dX = dY s^(-beta) - 2 alpha beta / n * x * window'(dY x s^(-beta-1)), window' reading the window from the other side.
 */
const lrn = rule((b, node, dY) => {
  const x = node.inputs[0]!;
  const size = intAttribute(node, 'size', 1);
  const [alpha, beta, k] = [
    floatAttribute(node, 'alpha', 1e-4),
    floatAttribute(node, 'beta', 0.75),
    floatAttribute(node, 'bias', 1),
  ];
  return [
    () => {
      const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
      const s = b.add(b.mul(channelWindow(b, b.square(x), before, after), b.scalar(alpha / size, x)), b.scalar(k, x));
      const inner = channelWindow(b, b.mul(b.mul(dY, x), b.pow(s, b.scalar(-beta - 1, x))), after, before);
      return b.sub(
        b.mul(dY, b.pow(s, b.scalar(-beta, x))),
        b.mul(b.mul(x, inner), b.scalar((2 * alpha * beta) / size, x)),
      );
    },
  ];
});

/** Sum over a sliding window of channels, as the difference of two running sums. */
function channelWindow(b: GraphBuilder, value: ValueName, before: number, after: number): ValueName {
  const rank = b.rank(value);
  const pads = (begin: number, end: number) =>
    b.int64s(Array.from({ length: 2 * rank }, (_, at) => (at === 1 ? begin : at === rank + 1 ? end : 0)));
  const dims = b.dims(value);
  const running = b.op('CumSum', [b.pad(value, pads(before + 1, after)), b.constant('int64', [], [1])], {
    exclusive: int(0),
    reverse: int(0),
  });
  const width = before + after + 1;
  const upper = b.slice(running, b.int64s([width]), b.int64s([Number.MAX_SAFE_INTEGER]), [1], undefined, dims);
  const lower = b.slice(running, b.int64s([0]), b.int64s([-width]), [1], undefined, dims);
  return b.sub(upper, lower);
}

export const normalization = {
  BatchNormalization: batchNorm,
  LayerNormalization: layerNorm,
  RMSNormalization: rmsNorm,
  InstanceNormalization: instanceNorm,
  GroupNormalization: groupNorm,
  MeanVarianceNormalization: meanVariance,
  LpNormalization: lpNorm,
  LRN: lrn,
} satisfies Readonly<Record<string, Rule>>;
