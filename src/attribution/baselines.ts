/** What an input is compared with: from the name a person gives to tensors. */
import { baselineIds, imageBaseline } from '../inputs/core.ts';
import type { ImageBaseline, TextBaseline, TextEncoding } from '../inputs/core.ts';
import { UserError, isFloat, numbersToData, sizeOf } from '../onnx/index.ts';
import type { NamedTensors, ValueInfo } from '../onnx/index.ts';
import { checkBaseline } from './check.ts';
import type { Encoded } from './subject.ts';

/** Baselines that have a name; which of them suit an input depends on its kind. */
export const BASELINES = ['zero', 'pad', 'mask', 'unk', 'mean', 'blur', 'noise', 'black', 'white'] as const;

/**
 * `zero`: zeros as the model sees them (of the embedding, for text); `pad`, `mask`, `unk`: that token in every place;
 * `mean`, `blur`, `noise`, `black`, `white`: for pictures; a number; or tensors by input.
 */
export type Baseline = (typeof BASELINES)[number] | number | NamedTensors;

/** The baseline of a name, or undefined where there is none. */
export function findBaseline(name: string | undefined): (typeof BASELINES)[number] | undefined {
  return BASELINES.find((each) => each === name);
}

/** How the baseline is called in the result. */
export function baselineName(baseline: Baseline, encoded: Encoded): string {
  if (typeof baseline === 'object') return 'given';
  if (encoded.kind !== 'image-text') return String(baseline);
  const { picture, text } = pairBaselines(encoded.text, baseline);
  return picture === text ? String(text) : `${picture} and ${text}`;
}

/** The tensors of a baseline. Throws a UserError for one that does not suit what the subject is. */
export function resolveBaseline(
  encoded: Encoded,
  baseline: Baseline,
  seed: number,
  inputs: readonly ValueInfo[],
): NamedTensors | 'zero' {
  if (baseline === 'zero') return 'zero';
  if (typeof baseline === 'object') {
    checkBaseline(baseline, encoded.tensors);
    return fillBaseline(baseline, encoded.tensors, inputs);
  }
  if (encoded.kind === 'image-text') {
    const { picture, text } = pairBaselines(encoded.text, baseline);
    return {
      [encoded.image.input]: imageBaseline(encoded.image, picture, { seed }),
      [encoded.text.input]: baselineIds(encoded.text, text),
    };
  }
  if (encoded.kind === 'text') {
    if (baseline === 'pad' || baseline === 'mask' || baseline === 'unk')
      return { [encoded.encoding.input]: baselineIds(encoded.encoding, baseline) };
    throw new UserError(`baseline "${baseline}" does not suit a text; use pad, mask, unk or zero`);
  }
  if (baseline === 'pad' || baseline === 'mask' || baseline === 'unk')
    throw new UserError(`baseline "${baseline}" is for texts`);
  if (encoded.kind === 'image')
    return { [encoded.encoding.input]: imageBaseline(encoded.encoding, baseline, { seed }) };
  if (typeof baseline !== 'number')
    throw new UserError(`baseline "${baseline}" is for pictures; give zero, a number, or @FILE.json`);
  const floats = Object.entries(encoded.tensors).filter(([, { type }]) => isFloat(type));
  return Object.fromEntries(
    floats.map(([name, { type, dims }]) => [
      name,
      { type, dims, data: numbersToData(type, Array<number>(sizeOf(dims)).fill(baseline)) },
    ]),
  );
}

/** Each side has a baseline of its own: what is said is for the side it suits, and the other is compared with zeros or padding. */
function pairBaselines(
  { neutral }: TextEncoding,
  baseline: Exclude<Baseline, NamedTensors>,
): { readonly picture: ImageBaseline; readonly text: TextBaseline } {
  const ofText = baseline === 'pad' || baseline === 'mask' || baseline === 'unk';
  if (ofText) return { picture: 'zero', text: baseline };
  return { picture: baseline, text: baseline === 'zero' || neutral.pad === undefined ? 'zero' : 'pad' };
}

/** Inputs a given baseline leaves out stay as they are, so they get no share. */
function fillBaseline(baseline: NamedTensors, tensors: NamedTensors, inputs: readonly ValueInfo[]): NamedTensors {
  return Object.fromEntries(
    inputs.flatMap(({ name }) => (tensors[name] === undefined ? [] : [[name, baseline[name] ?? tensors[name]]])),
  );
}
