/** What a request must be, before anything heavy runs; and what an answer must be. */
import { checkTensors } from '../inputs/core.ts';
import { UsageError, UserError, firstNotFinite, isFloat } from '../onnx/index.ts';
import type { NamedTensors } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import type { Attribution, Method } from '../programs/index.ts';
import { numbers } from '../programs/index.ts';
import type { AttributeRequest } from './request.ts';

/**
 * Throws a UserError for inputs or baselines that do not suit the model or hold NaN or infinity, for a batch of more than 1,
 * and for a place, a number of baselines or a seed that the method does not take.
 */
export function checkRequest(host: ModelHost, request: AttributeRequest, method: Method): void {
  const { inputs, baseline = 'zero', seed = 0 } = request;
  checkTensors(inputs, host.original.graph.inputs);
  checkOneRow(inputs);
  checkPlace(method, request);
  checkGroups(method, request);
  if (!Number.isSafeInteger(seed)) throw new UsageError(`seed must be a whole number, and is ${seed}`);
  if (baseline === 'zero' || method.usesBaseline === false) return;
  checkBaseline(baseline, inputs);
  if (method.usesBaseline !== 'many') checkOneBaseline(method, baseline);
}

/** One answer is explained at a time; flags without a batch may stand beside it. */
export function checkOneRow(tensors: NamedTensors): void {
  for (const [name, { type, dims }] of Object.entries(tensors)) {
    if (dims[0] === 1 || (type === 'bool' && dims.length <= 1) || dims.length === 0) continue;
    throw new UserError(
      `input "${name}" has dims [${dims.join(', ')}]: explanations are made for a batch of 1, the first axis`,
    );
  }
}

/** A baseline is shaped as the input, but may have any number of rows. */
export function checkBaseline(baseline: NamedTensors, inputs: NamedTensors): void {
  for (const [name, tensor] of Object.entries(baseline)) {
    const input = inputs[name];
    if (input === undefined) throw new UserError(`the baseline names input "${name}", which the model does not have`);
    const same = input.dims.length === tensor.dims.length && input.dims.slice(1).join() === tensor.dims.slice(1).join();
    if (!same || tensor.dims[0] === 0 || input.type !== tensor.type)
      throw new UserError(
        `the baseline of "${name}" is ${tensor.type} [${tensor.dims.join(', ')}], but the input is ${input.type} [${input.dims.join(', ')}]`,
      );
    if (!isFloat(tensor.type)) continue;
    const values = numbers(tensor);
    const bad = firstNotFinite(values);
    if (bad >= 0)
      throw new UserError(`the baseline of "${name}" holds ${values[bad]}; only finite numbers can be compared with`);
  }
}

function checkPlace(method: Method, { layer, neuron }: AttributeRequest): void {
  if (neuron !== undefined && layer === undefined) throw new UsageError('--neuron needs --layer');
  if (layer !== undefined && method.layers === 'none') throw new UsageError(`${method.name} does not work at a layer`);
  if (layer === undefined && (method.layers === 'needs-layer' || method.layers === 'needs-neuron'))
    throw new UsageError(`${method.name} needs a layer: --layer PATH`);
  if (neuron === undefined && method.layers === 'needs-neuron')
    throw new UsageError(`${method.name} needs a place in the layer: --neuron INDICES`);
  if (neuron !== undefined && (method.layers === 'needs-layer' || method.layers === 'own-layer'))
    throw new UsageError(`${method.name} scores a whole layer: leave --neuron out`);
}

function checkGroups(method: Method, { groups = {}, inputs }: AttributeRequest): void {
  const names = Object.keys(groups);
  if (names.length > 0 && method.usesGroups !== true)
    throw new UsageError(`${method.name} takes no feature mask: methods that perturb features one by one do`);
  for (const name of names) {
    const { type, dims } = groups[name]!;
    const input = inputs[name];
    if (input === undefined) throw new UserError(`there is a feature mask of "${name}", which the model does not have`);
    if (type !== 'int64' || dims.join() !== input.dims.join())
      throw new UserError(
        `the feature mask of "${name}" is ${type} [${dims.join(', ')}], but must be int64 [${input.dims.join(', ')}]: a group for each element`,
      );
  }
}

function checkOneBaseline(method: Method, baseline: NamedTensors): void {
  for (const [name, { dims }] of Object.entries(baseline))
    if (dims.length > 0 && dims[0]! > 1)
      throw new UserError(
        `the baseline of "${name}" has ${dims[0]} rows, but ${method.name} compares with one; expected-gradients, deep-lift-shap and feature-permutation take many`,
      );
}

/** An answer and scores that are numbers: of what comes to them without a gradient nothing tells more. */
export function checkFinite({ scores, value }: Attribution): void {
  if (!Number.isFinite(value)) throw new UserError(`the model answers ${value} for this input: nothing to explain`);
  for (const [input, { data }] of Object.entries(scores)) {
    const bad = firstNotFinite(data);
    if (bad >= 0)
      throw new UserError(
        `the score of element ${bad} of "${input}" is not finite: the model divides by zero or overflows on the way`,
      );
  }
}
