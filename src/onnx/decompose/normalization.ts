/** Normalisation as in training, which some files keep. */
import { floatAttribute, intAttribute } from '../model.ts';
import type { ValueName } from '../model.ts';
import type { Decomposition } from './decomposition.ts';

/** Statistics of the batch itself; the running ones move towards them. */
const batchNorm: Decomposition = (b, node) => {
  if (intAttribute(node, 'training_mode', 0) !== 1) return undefined;
  const [x, scale, bias, mean, variance] = node.inputs as [ValueName, ValueName, ValueName, ValueName, ValueName];
  const rank = b.rank(x);
  const axes = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1);
  const space = Array.from({ length: rank - 2 }, (_, index) => index + 1);
  const wide = (vector: ValueName) => (space.length === 0 ? vector : b.unsqueeze(vector, space));
  const own = b.mean(x, axes, false);
  const centred = b.sub(x, wide(own));
  const spread = b.mean(b.square(centred), axes, false);
  const deviation = b.sqrt(b.add(spread, b.scalar(floatAttribute(node, 'epsilon', 1e-5), spread)));
  const y = b.add(b.mul(centred, wide(b.div(scale, deviation))), wide(bias));
  const momentum = floatAttribute(node, 'momentum', 0.9);
  const moved = (running: ValueName, batch: ValueName) =>
    b.add(b.mul(running, b.scalar(momentum, running)), b.mul(batch, b.scalar(1 - momentum, batch)));
  return [y, moved(mean, own), moved(variance, spread)];
};

export const normalizationFamily = { BatchNormalization: batchNorm } satisfies Readonly<Record<string, Decomposition>>;
