/** Operators of ai.onnx.ml that stay as they are. */
import { intAttribute } from '../model.ts';
import type { InferenceRule } from './rule.ts';

/** In the type of its input, where the older TreeEnsembleRegressor gives float32 always. */
const treeEnsemble: InferenceRule = (input) => {
  const targets = intAttribute(input.node, 'n_targets', 1);
  return [{ type: input.type(0), dims: input.dims(0) && [input.dims(0)![0], targets] }];
};

export const machineLearning: Readonly<Record<string, InferenceRule>> = {
  'ai.onnx.ml::TreeEnsemble': treeEnsemble,
};
