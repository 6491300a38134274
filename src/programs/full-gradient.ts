/** FullGrad inside the graph: gradients times biases at every layer, each enlarged to the picture and summed. */
import { appendGradients } from '../autodiff/index.ts';
import type { RuleTable } from '../autodiff/index.ts';
import { ints, string } from '../onnx/index.ts';
import type { GraphBuilder, Node, ValueName } from '../onnx/index.ts';
import type { Feature } from './features.ts';
import { PROGRAM } from './names.ts';
import type { PlanesRequest } from './planes.ts';

export interface FullGradientRequest extends Pick<PlanesRequest, 'height' | 'width' | 'layout'> {
  /** The input that is a picture. */
  readonly picture: Feature;
  /** What each |bias x gradient| is brought to the range from 0 to 1 over: all of a layer, or each channel by itself. */
  readonly normalize: 'layer' | 'channel';
}

export interface FullGradientScene {
  readonly point: ValueName;
  readonly result: ValueName;
  readonly seed: ValueName;
  readonly rules: RuleTable;
}

/** Appends the map of every row, [rows, height, width], as an output. */
export function appendFullGradient(b: GraphBuilder, request: FullGradientRequest, scene: FullGradientScene): void {
  const { height, width, layout, picture } = request;
  const { point, result, seed, rules } = scene;
  const biased = biasedValues(b);
  const wrt = [point, ...biased.map(({ value }) => value)];
  const gradients = appendGradients(b, { of: result, wrt, seed, rules });
  const input = b.mul(point, gradients.get(point)!);
  const whole = { height, width };
  let map = postprocess(b, layout === 'NCHW' ? input : b.transpose(input, [0, 3, 1, 2]), request, whole);
  for (const { value, bias } of biased)
    map = b.add(map, postprocess(b, b.mul(gradients.get(value)!, bias), request, whole));
  const shape = b.int64s([0, height, width]);
  b.addOutput(
    b.op('Reshape', [map, shape], {}, { dims: [b.dims(point)?.[0], height, width] }),
    PROGRAM.map(picture.input),
  );
}

/** |x| from 0 to 1, summed over channels and enlarged: [rows, 1, height, width]. The sum goes first: enlarging is linear. */
function postprocess(
  b: GraphBuilder,
  x: ValueName,
  { normalize }: FullGradientRequest,
  { height, width }: { readonly height: number; readonly width: number },
): ValueName {
  const axes = normalize === 'layer' ? [1, 2, 3] : [2, 3];
  const size = b.abs(x);
  const low = b.neg(b.max(b.neg(size), axes));
  const range = b.sub(b.max(size, axes), low);
  const summed = b.sum(b.div(b.sub(size, low), b.add(range, b.scalar(1e-7, range))), [1]);
  const dims = b.dims(summed);
  if (dims?.[2] === height && dims[3] === width) return summed;
  return b.op(
    'Resize',
    [summed, '', '', b.int64s([height, width])],
    { axes: ints([2, 3]), mode: string('linear'), coordinate_transformation_mode: string('half_pixel') },
    { dims: [dims?.[0], 1, height, width] },
  );
}

interface Biased {
  /** A map [rows, C, H, W] that a bias is part of. */
  readonly value: ValueName;
  /** The bias, [1, C, 1, 1]. */
  readonly bias: ValueName;
}

/** Maps that a bias was added to: by a convolution, a batch norm (b - w mean / deviation), or an Add. */
function biasedValues(b: GraphBuilder): Biased[] {
  return b.nodes().flatMap((node) => {
    const value = node.outputs[0]!;
    const dims = b.dims(value);
    if (dims?.length !== 4 || typeof dims[1] !== 'number') return [];
    const bias = biasOf(b, node, dims[1]);
    return bias === undefined ? [] : [{ value, bias: b.op('Reshape', [bias, b.int64s([1, dims[1], 1, 1])]) }];
  });
}

function biasOf(b: GraphBuilder, node: Node, channels: number): ValueName | undefined {
  const { operator, inputs, attributes } = node;
  if (operator === 'Conv' || operator === 'ConvTranspose') return inputs[2] || undefined;
  if (operator === 'BatchNormalization') {
    const [, scale, shift, mean, variance] = inputs as [string, string, string, string, string];
    const epsilon = attributes['epsilon']?.kind === 'float' ? attributes['epsilon'].value : 1e-5;
    const deviation = b.sqrt(b.add(variance, b.scalar(epsilon, variance)));
    return b.sub(shift, b.div(b.mul(scale, mean), deviation));
  }
  if (operator !== 'Add') return undefined;
  return inputs.find((name) => {
    const dims = b.weight(name)?.dims;
    const one = dims?.length === 4 ? dims.slice(1) : dims;
    return one?.length === 3 && one[0] === channels && one[1] === 1 && one[2] === 1;
  });
}
