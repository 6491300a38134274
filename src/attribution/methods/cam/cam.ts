import { UserError } from '../../../onnx/index.ts';
import type { Model, Node, ValueName } from '../../../onnx/index.ts';
import { defineMethod } from '../../../programs/index.ts';
import { drawMap } from './draw.ts';
import { nodesBetween, targetLayer } from './target-layer.ts';

/** Means over positions, linear layers, and what only changes the shape: what may stand behind CAM's layer. */
const POOLS = new Set(['GlobalAveragePool', 'ReduceMean', 'AveragePool', 'ReduceSum']);
const LINEAR = new Set(['Gemm', 'MatMul', 'Conv']);
const PLAIN = new Set([
  'Flatten',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Identity',
  'Transpose',
  'Add',
  'Sub',
  'Mul',
  'Div',
]);

/**
 * CAM: sum_k w_k A_k, w the weights of the one linear layer between the mean over positions and the class. They are read
 * off the gradient, which is w_k / (H W) at every position there. Signed, as in the paper.
 * Only for models that end in global average pooling and one linear layer; elsewhere Grad-CAM generalises it.
 * Zhou et al. 2016, https://arxiv.org/abs/1512.04150. Cost: one forward pass, and the head again.
 */
export const cam = defineMethod({
  name: 'cam',
  summary: 'channels weighted by the linear layer behind global average pooling (CAM)',
  options: { relu: { kind: 'boolean', default: false, help: 'make negative values of the map 0' } },
  usesBaseline: false,
  layers: 'own-layer',
  async attribute(context, { relu }) {
    const { layer } = targetLayer(context, 'cam');
    checkHead(context.model(), layer.value, context.output, layer.input);
    return drawMap(context, { relu, method: 'cam', form: 'cam', eigen_smooth: false, aug_smooth: false });
  },
});

function checkHead(model: Model, from: ValueName, to: ValueName, path: string): void {
  const behind = nodesBetween(model, from, to);
  const pools = behind.filter(({ operator }) => POOLS.has(operator)).length;
  const linear = behind.filter((node) => LINEAR.has(node.operator)).length;
  const other = behind.find(({ operator }) => !POOLS.has(operator) && !LINEAR.has(operator) && !PLAIN.has(operator));
  // Weights must be the model's own: a product of two computed values is no linear layer.
  const computed = behind.some(({ inputs }) => inputs.filter((name) => reached(behind, from, name)).length > 1);
  if (pools !== 1 || linear !== 1 || other !== undefined || computed)
    throw new UserError(
      `cam needs global average pooling and one linear layer behind the layer, but behind "${path}" come ${[...new Set(behind.map(({ operator }) => operator))].join(', ') || 'no nodes'}; grad-cam has no such need`,
    );
}

const reached = (behind: readonly Node[], from: ValueName, name: ValueName) =>
  name === from || behind.some(({ outputs }) => outputs.includes(name));
