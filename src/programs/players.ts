/** What is switched on and off together when an input is perturbed: words, regions of a picture, elements. */
import { UsageError, UserError, sizeOf } from '../onnx/index.ts';
import type { DenseTensor, NamedTensors } from '../onnx/index.ts';
import type { Feature } from './features.ts';
import type { AttributionContext, Modality } from './method.ts';
import { numbers } from './numbers.ts';
import { felzenszwalb } from './felzenszwalb.ts';
import { quickshift } from './quickshift.ts';
import { slic } from './slic.ts';
import type { Plane, Superpixels } from './superpixels.ts';
import { imageRegions, tensorElements, textUnits } from './units.ts';
import type { InputUnits } from './units.ts';

/** Players of the game "what is the answer with only these kept". */
export interface Players {
  /** Group of each element by input: int64, shaped as its scores. Group `count` is never taken away. */
  readonly groups: NamedTensors;
  readonly count: number;
  /** Where the players of each input are within it, for hierarchies; on a grid where it has two axes. Players go on counting. */
  readonly places: readonly (readonly (readonly number[])[])[];
}

export const PLAYER_OPTIONS = {
  features: {
    kind: 'choice',
    default: 'auto',
    choices: ['auto', 'words', 'tokens', 'regions', 'superpixels', 'felzenszwalb', 'quickshift', 'elements'],
    help: 'what is perturbed as one: words of a text, regions of a picture (squares, or superpixels by SLIC, felzenszwalb or quickshift), elements unless said',
  },
  regions: { kind: 'integer', default: null, min: 1, help: 'regions along each side of a picture; default: 8' },
} as const;

/** Regions along each side of a picture where nothing is said. */
const REGIONS = 8;

export interface PlayerOptions {
  readonly features: string;
  /** Only for pictures that are cut into regions. */
  readonly regions: number | null;
}

/**
 * The players of an input: the groups the caller gave, or those that suit what the input is. Throws a UsageError for
 * options that mean nothing for it.
 */
export function findPlayers(context: AttributionContext, { features, regions }: PlayerOptions): Players {
  const { modality, inputs, groups } = context;
  const text = modality.kind === 'text' ? modality : modality.kind === 'image' ? modality.text : undefined;
  checkChoice(features, text === undefined ? modality.kind : 'text', modality.kind === 'image');
  const all: Record<string, DenseTensor> = {};
  const scored = context.features.map(({ input }) => input);
  const unknown = Object.keys(groups ?? {}).find((input) => !scored.includes(input));
  if (unknown !== undefined)
    throw new UserError(`there is a feature mask of "${unknown}", but scored are ${scored.join(', ')}`);
  let [chosen, cut] = [features === 'auto', regions === null];
  const perSide = regions ?? REGIONS;
  const found = context.features.map((feature): readonly [Feature, InputUnits] => {
    const tensor = inputs[feature.input];
    if (tensor === undefined) throw new UserError(`input "${feature.input}" was not given`);
    const given = groups?.[feature.input];
    if (given !== undefined) return [feature, givenUnits(given)];
    if (text !== undefined && feature.input === text.input) {
      chosen ||= features === 'words' || features === 'tokens';
      return [feature, textUnits(text.context, sizeOf(tensor.dims), features !== 'tokens')];
    }
    if (isSegmentation(features)) {
      chosen = cut = true;
      return [feature, superpixelsOf(tensor, modality, features, perSide, feature.input)];
    }
    if (features !== 'elements' && (features === 'regions' || modality.kind === 'image') && tensor.dims.length === 4) {
      chosen ||= features === 'regions';
      cut = true;
      return [feature, imageRegions(tensor.dims, modality.kind === 'image' ? modality.layout : 'NCHW', perSide)];
    }
    chosen ||= features === 'elements';
    return [feature, tensorElements(tensor.dims)];
  });
  if (!chosen)
    throw new UsageError(`features=${features} means nothing here: ${whatItIs(context, text !== undefined)}`);
  if (!cut) throw new UsageError(`regions=${regions} means nothing here: no picture is cut into regions`);
  const count = found.reduce((sum, [, units]) => sum + units.places.length, 0);
  let offset = 0;
  for (const [{ input }, { units, places }] of found) {
    const first = offset;
    const data = BigInt64Array.from(units, (unit) => BigInt(unit < 0 ? count : first + unit));
    all[input] = { type: 'int64', dims: inputs[input]!.dims, data };
    offset += places.length;
  }
  if (count === 0) throw new UserError('the input has nothing that could be taken away');
  return { groups: all, count, places: found.map(([, { places }]) => places) };
}

/** About `perSide` squared superpixels, the same in all channels. */
function superpixelsOf(
  tensor: DenseTensor,
  modality: Modality,
  how: Segmentation,
  perSide: number,
  input: string,
): InputUnits {
  if (tensor.dims.length !== 4) throw new UserError(`features=${how} is for pictures, but "${input}" is none`);
  const layout = modality.kind === 'image' ? modality.layout : 'NCHW';
  const [channels, height, width] = (
    layout === 'NCHW' ? tensor.dims.slice(1) : [tensor.dims[3], tensor.dims[1], tensor.dims[2]]
  ) as [number, number, number];
  const area = height * width;
  const values = numbers(tensor);
  const picture = new Float32Array(values.length);
  for (let at = 0; at < values.length; at++)
    picture[layout === 'NCHW' ? at : (at % channels) * area + Math.floor(at / channels)] = values[at]!;
  const { labels, centres } = segment(picture, { channels, height, width }, how, perSide);
  const units = Int32Array.from(values, (_, at) => labels[layout === 'NCHW' ? at % area : Math.floor(at / channels)]!);
  return { units, places: centres };
}

const SEGMENTATIONS = ['superpixels', 'felzenszwalb', 'quickshift'] as const;
type Segmentation = (typeof SEGMENTATIONS)[number];
const isSegmentation = (features: string): features is Segmentation => SEGMENTATIONS.some((each) => each === features);

/** By SLIC, or by what finds its own number: then more regions along a side only make smaller ones possible. */
function segment(picture: Float32Array, plane: Plane, how: Segmentation, perSide: number): Superpixels {
  if (how === 'superpixels') return slic(picture, plane, perSide * perSide);
  let [low, high] = [Infinity, -Infinity];
  for (const value of picture) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const span = Math.max(1e-12, high - low);
  const colours = picture.map((value) => (value - low) / span);
  const side = Math.sqrt(plane.height * plane.width) / perSide;
  // LIME's kernel of 4 pixels at most, since its cost grows with the square, and a quarter of a square of the grid as the least size.
  return how === 'quickshift'
    ? quickshift(colours, plane, { kernelSize: Math.max(1, Math.min(4, side / 7)) })
    : felzenszwalb(colours, plane, { minSize: Math.max(2, Math.round(side ** 2 / 4)) });
}

function whatItIs({ groups, inputs }: AttributionContext, text: boolean): string {
  if (groups !== undefined) return 'the feature masks say what is perturbed as one';
  if (text) return 'the input is a text';
  return `no input is a picture (${Object.entries(inputs)
    .map(([input, { dims }]) => `"${input}" is [${dims.join(', ')}]`)
    .join(', ')})`;
}

function checkChoice(features: string, kind: string, picture: boolean): void {
  if ((features === 'words' || features === 'tokens') && kind !== 'text')
    throw new UserError(`features=${features} is for texts`);
  if (isSegmentation(features) && kind === 'text' && !picture)
    throw new UserError(`features=${features} is for pictures`);
  if (features === 'elements' && kind === 'text') throw new UserError('features=elements is not for texts: use tokens');
}

/** Groups by any numbers, as numbers from 0. Of several inputs each has its own. */
function givenUnits(given: DenseTensor): InputUnits {
  const names = Array.from(given.data as ArrayLike<number | bigint>, Number);
  const order = [...new Set(names)].sort((left, right) => left - right);
  const at = new Map(order.map((name, index) => [name, index]));
  return { units: Int32Array.from(names, (name) => at.get(name)!), places: order.map((_, index) => [index]) };
}

/** Each player's number at all its elements, or its equal part of it, shaped as the inputs. */
export function spreadOver(
  { groups, count }: Players,
  values: ArrayLike<number>,
  share: boolean,
): Readonly<Record<string, { readonly dims: readonly number[]; readonly data: Float64Array }>> {
  const sizes = new Float64Array(count + 1);
  for (const { data } of Object.values(groups)) for (const group of data as BigInt64Array) sizes[Number(group)]!++;
  return Object.fromEntries(
    Object.entries(groups).map(([input, { dims, data }]) => {
      const scores = Float64Array.from(data as BigInt64Array, (name) => {
        const group = Number(name);
        return group === count ? 0 : values[group]! / (share ? sizes[group]! : 1);
      });
      return [input, { dims, data: scores }];
    }),
  );
}
