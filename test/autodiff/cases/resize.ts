import { float, int, ints, string } from '../../../src/onnx/index.ts';
import type { Attribute } from '../../../src/onnx/index.ts';
import type { Case } from '../case.ts';
import { i, one, typed, x } from '../case.ts';

const linear = { linear: true };
const scales = (...values: number[]) => typed('float32', [values.length], values);
const transformations = ['half_pixel', 'half_pixel_symmetric', 'pytorch_half_pixel', 'align_corners', 'asymmetric'];

const modes = ['nearest', 'linear', 'cubic'].flatMap((mode) =>
  transformations.flatMap((coordinate): Case[] => {
    const attributes = { mode: string(mode), coordinate_transformation_mode: string(coordinate) };
    const opset = coordinate === 'half_pixel_symmetric' ? 19 : 18;
    return [
      one(
        'Resize',
        `${mode}, ${coordinate}, up by scales`,
        [x([1, 2, 3, 4]), undefined, scales(1, 1, 2, 1.5)],
        attributes,
        { linear: true, opset },
      ),
      one(
        'Resize',
        `${mode}, ${coordinate}, down to sizes`,
        [x([1, 2, 5, 6]), undefined, undefined, i([1, 2, 3, 4])],
        attributes,
        { linear: true, opset },
      ),
    ];
  }),
);

const more = (
  name: string,
  attributes: Record<string, Attribute>,
  ...given: (ReturnType<typeof x> | undefined)[]
): Case => one('Resize', name, [x([1, 2, 4, 4]), ...given], attributes, linear);

export const resize: Case[] = [
  ...modes,
  ...['floor', 'ceil', 'round_prefer_floor', 'round_prefer_ceil'].map((nearest) =>
    more(`nearest by ${nearest}`, { nearest_mode: string(nearest) }, undefined, scales(1, 1, 1.5, 0.7)),
  ),
  more('linear with antialias', { mode: string('linear'), antialias: int(1) }, undefined, scales(1, 1, 0.5, 0.6)),
  more('cubic with antialias', { mode: string('cubic'), antialias: int(1) }, undefined, undefined, i([1, 2, 2, 3])),
  more(
    'cubic with its own coefficient',
    { mode: string('cubic'), cubic_coeff_a: float(-0.5) },
    undefined,
    scales(1, 1, 2, 2),
  ),
  more(
    'cubic without what is outside',
    { mode: string('cubic'), exclude_outside: int(1) },
    undefined,
    scales(1, 1, 2, 2),
  ),
  more('on chosen axes', { mode: string('linear'), axes: ints([2, 3]) }, undefined, scales(2, 1.5)),
  more('on chosen axes to sizes', { mode: string('nearest'), axes: ints([-1]) }, undefined, undefined, i([7])),
  ...['not_larger', 'not_smaller'].flatMap((policy) =>
    ['linear', 'cubic'].map((mode) =>
      one(
        'Resize',
        `${mode}, with its ratio kept, ${policy}, lengths rounded`,
        [x([1, 2, 2, 4]), undefined, undefined, policy === 'not_smaller' ? i([1, 3]) : i([2, 3])],
        {
          mode: string(mode),
          axes: ints([2, 3]),
          keep_aspect_ratio_policy: string(policy),
          coordinate_transformation_mode: string('align_corners'),
        },
        { ...linear, staticOnly: 'which axis the others follow is decided by their lengths' },
      ),
    ),
  ),
  one(
    'Resize',
    'by a scale for which shape inference and kernel find two lengths',
    [x([1, 1, 10, 10]), undefined, scales(1, 1, 0.7, 1.13)],
    { mode: string('linear') },
    linear,
  ),
  more('with the same size', { mode: string('linear') }, undefined, scales(1, 1, 1, 1)),
  one(
    'Resize',
    'linear, of a sequence',
    [x([1, 2, 4]), undefined, scales(1, 1, 2)],
    { mode: string('linear') },
    linear,
  ),
  one('Resize', 'nearest, of a volume', [x([1, 1, 2, 3, 2]), undefined, scales(1, 1, 2, 1, 2)], {}, linear),
];
