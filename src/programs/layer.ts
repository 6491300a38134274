/** Layers by the paths people name them with. */
import { UserError, listLayers } from '../onnx/index.ts';
import type { Layer, Model, ValueName } from '../onnx/index.ts';
import { nearestNames } from '../tasks/core.ts';
import type { Feature } from './features.ts';

/**
 * The layer of a path as `listLayers` and `onnxray inspect` give it, or of the value it gives. Throws a UserError that names those
 * whose path holds what was asked for, else the nearest ones.
 */
export function findLayer(model: Model, path: string): Layer {
  const layers = listLayers(model);
  const layer = layers.find((each) => each.path === path) ?? layers.find(({ output }) => output === path);
  if (layer !== undefined) return layer;
  const paths = layers.map((each) => each.path);
  const holding = paths.filter((each) => each.includes(path)).slice(0, 3);
  const quoted = (names: readonly string[]) => names.map((name) => `"${name}"`).join(', ');
  const hint =
    holding.length > 0
      ? `did you mean ${quoted(holding)}?`
      : `nearest: ${quoted(nearestNames(path, paths))}; "onnxray inspect" lists them`;
  throw new UserError(`the model has no layer "${path}"; ${hint}`);
}

/** A layer as something rows vary in, or gradients are taken at. */
export function layerFeature(path: string, value: ValueName): Feature {
  return { input: path, kind: 'layer', value };
}
