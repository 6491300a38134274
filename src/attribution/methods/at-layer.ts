import { UserError, sizeOf } from '../../onnx/index.ts';
import type { DenseTensor } from '../../onnx/index.ts';
import type { Attribution, AttributionContext, BackwardRequest, Method, Rows } from '../../programs/index.ts';
import { PROGRAM, defineMethod, quadrature, zeros } from '../../programs/index.ts';

type Form = NonNullable<BackwardRequest['at']>['form'];

const OPTIONS = { steps: { kind: 'integer', default: 50, min: 1, help: 'points on the path' } } as const;

/** A method that takes gradients at a layer while the input goes from the baseline to where it is. */
function defineAtLayer(
  name: string,
  summary: string,
  form: Form,
  sumsTo: Attribution['sumsTo'],
  rows: (steps: number) => Rows,
): Method {
  return defineMethod({
    name,
    summary,
    options: OPTIONS,
    usesBaseline: true,
    layers: form === 'neuron' ? 'needs-neuron' : 'needs-layer',
    async attribute(context, { steps }) {
      const runner = await context.open({
        rows: 'alphas',
        onInputs: true,
        backward: { reduction: 'times-difference', at: { layer: context.layer!, form } },
      });
      const target = await context.target(runner);
      const neuron = form === 'neuron' ? { neuron: neuronWeights(context, runner.program) } : {};
      const { weights, ...given } = rows(steps!);
      const count = weights.length;
      // The two ends ride along with weight 0 for their values.
      const { scores, values } = await runner.run(
        {
          ...neuron,
          alphas: [...given.alphas!, 0, 1],
          nextAlphas: [...(given.nextAlphas ?? given.alphas!), 0, 1],
          weights: [...weights, 0, 0],
        },
        target,
      );
      return { scores, value: values[count + 1]!, baselineValue: values[count]!, sumsTo };
    },
  });
}

/** One at the neuron's place. */
function neuronWeights(
  { layer, neuron }: AttributionContext,
  program: {
    readonly graph: {
      readonly inputs: readonly {
        readonly name: string;
        readonly type: DenseTensor['type'];
        readonly dims: readonly unknown[] | undefined;
      }[];
    };
  },
): DenseTensor {
  const info = program.graph.inputs.find(({ name }) => name === PROGRAM.neuron)!;
  const dims = info.dims!.map(Number);
  if (dims.some((dim) => !Number.isInteger(dim)))
    throw new UserError(`layer "${layer!.input}" has no fixed shape, so a neuron in it cannot be addressed`);
  const inside =
    neuron!.length === dims.length - 1 &&
    neuron!.every((index, axis) => Number.isInteger(index) && index >= 0 && index < dims[axis + 1]!);
  if (!inside)
    throw new UserError(
      `neuron ${neuron!.join(',')} is not in layer "${layer!.input}", which is [${dims.slice(1).join(', ')}] after the batch axis`,
    );
  const tensor = zeros(info.type, dims);
  const at = neuron!.reduce((flat, index, axis) => flat * dims[axis + 1]! + index, 0);
  (tensor.data as Float32Array)[at % sizeOf(dims)] = 1;
  return tensor;
}

const legendre = (steps: number): Rows => quadrature('gauss-legendre', steps);
/** As Captum: `steps` intervals with the gradient at their left ends. */
const intervals = (steps: number): Rows => ({
  alphas: Array.from({ length: steps }, (_, step) => step / steps),
  nextAlphas: Array.from({ length: steps }, (_, step) => (step + 1) / steps),
  weights: Array<number>(steps).fill(1),
});

/**
 * Internal influence: the gradient at a layer averaged on the way from baseline to input.
 * Leino et al. 2018, https://arxiv.org/abs/1802.03788. Cost: one forward and backward pass per step.
 */
export const internalInfluence = defineAtLayer(
  'internal-influence',
  'gradient at a layer, averaged on the way from baseline to input (needs --layer)',
  'influence',
  null,
  legendre,
);

/**
 * Layer conductance: how much of the change of the answer flows through each element of a layer,
 * sum_s d f / d y (y(x_s+1) - y(x_s)). Sums to value - baseline value where all paths lead through the layer.
 * The gradient is taken where each step starts, as Captum's riemann_trapezoid does (its other rules leave out the ends of the path).
 * Dhamdhere, Sundararajan & Yan 2018, https://arxiv.org/abs/1805.12233. Cost: one forward and backward pass per step, and
 * one forward pass up to the layer.
 */
export const layerConductance = defineAtLayer(
  'layer-conductance',
  'how much of the change of the answer flows through each element of a layer (needs --layer)',
  'conductance',
  'difference',
  intervals,
);

/**
 * Neuron conductance: each input's part in what flows through one element of a layer,
 * (x - x0) * integral of (d f / d y_j) (d y_j / d x).
 * Dhamdhere, Sundararajan & Yan 2018, https://arxiv.org/abs/1805.12233. Cost: one forward and two backward passes per step.
 */
export const neuronConductance = defineAtLayer(
  'neuron-conductance',
  'each input’s part in what flows through one element of a layer (needs --layer and --neuron)',
  'neuron',
  null,
  legendre,
);
