/** From a box or a place of a picture to the part of an output that is explained. */
import { UserError, UsageError } from '../onnx/index.ts';
import type { DenseTensor, NamedTensors } from '../onnx/index.ts';
import type { GraphBuilder, ValueName } from '../onnx/index.ts';
import { appendProbabilities, chooseOutput, numbers } from '../programs/index.ts';
import type { DetectionAim, Modality, Reading } from '../programs/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { detectorForm, maskWeights, parseOutputTerms, readBoxes, regionAt } from '../tasks/core.ts';
import type { DetectorForm, OutputTerm } from '../tasks/core.ts';
import type { TargetRef } from '../explanation/index.ts';
import type { BuiltTarget, WeightedTarget } from './request.ts';

/** What --box says about a request. */
export interface BoxAim {
  readonly output: string;
  readonly unbatched: boolean;
  readonly target: TargetRef | ((answer: DenseTensor) => WeightedTarget);
  /** Of an instance's mask that is made of prototypes. */
  readonly reading?: Reading;
  readonly detection: DetectionAim;
}

/**
 * Box number `box` of a detector's answer, best first. `part`: `class` (unless said), `objectness`, or a coordinate in the
 * detector's own format. Costs a forward pass. Throws a UserError when there is no such box or part.
 */
export async function aimAtBox(
  host: ModelHost,
  inputs: NamedTensors,
  modality: Modality,
  {
    box,
    part = 'class',
    labels,
  }: { readonly box: number; readonly part?: string; readonly labels?: readonly string[] | undefined },
): Promise<BoxAim> {
  if (modality.kind !== 'image') throw new UserError('--box asks for a box in a picture: give it with --image');
  const { dims } = inputs[modality.input]!;
  const [height, width] = (modality.layout === 'NCHW' ? dims.slice(2) : dims.slice(1, 3)) as [number, number];
  const session = await host.openOriginal();
  const outputs = await session.run(inputs).finally(() => session.release());
  const form = detectorForm(outputs);
  const boxes = readBoxes(outputs, form, { height, width });
  const found = boxes[box];
  if (found === undefined)
    throw new UserError(
      boxes.length === 0
        ? 'the detector finds no box in this picture'
        : `there is no box ${box}: the detector finds ${boxes.length === 1 ? 'one box, 0' : `${boxes.length}, 0 to ${boxes.length - 1}`}`,
    );
  const element = found.elements[part];
  const hasMask = form.masks !== undefined && found.mask !== undefined;
  const parts = [...Object.keys(found.elements), ...(hasMask ? ['mask'] : [])];
  if (!parts.includes(part)) throw new UsageError(`with --box, --target is one of ${parts.join(', ')}, not "${part}"`);
  const name = labels?.[found.label] ?? `class ${found.label}`;
  const label = `${name} ${found.score.toFixed(2)} (box ${box})`;
  const detection = {
    form,
    found,
    height,
    width,
    dims: each(outputs, ({ dims }) => dims),
    types: each(outputs, ({ type }) => type),
  };
  if (element === undefined) return { ...aimAtMask(form, detection, `mask of ${label}`), detection };
  return {
    output: element.output,
    unbatched: element.unbatched,
    target: { label: part === 'class' ? label : `${part} of ${label}`, indices: element.indices },
    detection,
  };
}

/** The mean over an instance's mask of what makes it: raw values of prototypes, or shares from 0 to 1 where the model gives those. */
function aimAtMask(
  { masks, boxes }: DetectorForm,
  { found, height, width }: DetectionAim,
  label: string,
): Omit<BoxAim, 'detection'> {
  const { row, first, turned } = found.mask!;
  const { output, prototypes } = masks!;
  const target = (answer: DenseTensor) => {
    const values = numbers(answer);
    const weights = maskWeights(
      values,
      answer.dims,
      prototypes === undefined ? { row, least: 0.5 } : { row: 0, least: 0 },
      {
        x0: found.x0 / width,
        y0: found.y0 / height,
        x1: found.x1 / width,
        y1: found.y1 / height,
      },
    );
    return { label, weights: { type: answer.type, dims: answer.dims, data: weights } };
  };
  if (prototypes === undefined) return { output, unbatched: true, target };
  const reading = { kind: 'mask', prototypes: output, count: prototypes, row, first, turned } as const;
  return { output: boxes, unbatched: false, reading, target };
}

function each<T>(outputs: NamedTensors, of: (tensor: DenseTensor) => T): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, of(tensor)]));
}

/** The region around a place of the picture, given as fractions of what the model sees. */
export function aimAtRegion(
  answer: DenseTensor,
  at: { readonly x: number; readonly y: number },
  { layout, aspect }: { readonly layout: 'NCHW' | 'NHWC'; readonly aspect: number },
  labels: readonly string[] | undefined,
): WeightedTarget {
  const region = regionAt(answer, numbers(answer), at, layout === 'NHWC', aspect);
  const name = labels?.[region.label] ?? `class ${region.label}`;
  const data = answer.type === 'float64' ? Float64Array.from(region.weights) : region.weights;
  return {
    label: `${name}, region of ${region.size}`,
    indices: region.indices,
    weights: { type: answer.type, dims: answer.dims, data },
  };
}

/**
 * A sum over several outputs, such as `logprob(start_logits[7]) + logprob(end_logits[9])`; `named` are those it names. Costs
 * a forward pass, which tells their dims. Throws a UserError for a place that is not in its output.
 */
export async function aimAtOutputs(
  host: ModelHost,
  inputs: NamedTensors,
  text: string,
  named: readonly string[],
): Promise<{ readonly output: string; readonly target: BuiltTarget }> {
  for (const name of named) chooseOutput(host.model, name);
  const session = await host.openOriginal();
  const answers = await session.run(inputs, { outputs: named }).finally(() => session.release());
  const dims = new Map(named.map((name) => [name, answers[name]!.dims.slice(1)]));
  const { terms, scale } = parseOutputTerms(text, dims);
  const [output, ...alongside] = [...new Set(terms.map((term) => term.output))] as [string, ...string[]];
  return {
    output,
    target: {
      label: text.replaceAll(/\s+/g, ' ').trim(),
      name: JSON.stringify([scale, terms]),
      alongside,
      build: (b, ...values) => {
        const valueOf = new Map([output, ...alongside].map((name, at) => [name, values[at]!]));
        const scaled = (value: ValueName) =>
          scale === undefined ? value : appendProbabilities(b, value, scale === 'probability');
        const parts = terms.map((term) => sumOfTerm(b, scaled(valueOf.get(term.output)!), term, values[0]));
        return parts.reduce((left, right) => b.add(left, right));
      },
    },
  };
}

/** The weighted sum of a term's places in [rows, ...]: [rows, 1], in the type of `like`. */
function sumOfTerm(b: GraphBuilder, value: ValueName, { weight, box }: OutputTerm, like: ValueName): ValueName {
  const axes = box.map((_, axis) => axis + 1);
  const [starts, ends] = [b.int64s(box.map(([from]) => from)), b.int64s(box.map(([, to]) => to))];
  const part = b.slice(value, starts, ends, axes);
  const sum = b.cast(b.unsqueeze(b.sum(part, axes, false), [1]), b.type(like));
  return b.mul(sum, b.scalar(weight, like));
}
