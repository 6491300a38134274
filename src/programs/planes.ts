/** Soft masks over a picture, enlarged to its size inside the graph. */
import { ints, string } from '../onnx/index.ts';
import type { GraphBuilder, ValueName } from '../onnx/index.ts';
import { PROGRAM } from './names.ts';

/** Soft masks of a picture's size or smaller; smaller ones are enlarged bilinearly. */
export interface PlanesRequest {
  readonly height: number;
  readonly width: number;
  readonly layout: 'NCHW' | 'NHWC';
  /** Each enlarged mask that is not constant is stretched to run from 0 to 1. */
  readonly stretch: boolean;
  /** Corners of the two grids lie on each other; else their edges do. */
  readonly alignCorners: boolean;
}

/** Each row's soft mask as large as the picture: [rows, 1, H, W], or [rows, H, W, 1]. */
export function enlargePlanes(
  b: GraphBuilder,
  picture: ValueName,
  { height, width, layout, stretch, alignCorners }: PlanesRequest,
): ValueName {
  const dims = b.dims(picture)!;
  const [tall, wide] = (layout === 'NCHW' ? [dims[2], dims[3]] : [dims[1], dims[2]]) as [number, number];
  const planes = b.unsqueeze(PROGRAM.planes, [1]);
  const large =
    tall === height && wide === width
      ? planes
      : b.op(
          'Resize',
          [planes, '', '', b.int64s([tall, wide])],
          {
            axes: ints([2, 3]),
            mode: string('linear'),
            coordinate_transformation_mode: string(alignCorners ? 'align_corners' : 'half_pixel'),
          },
          { dims: ['rows', 1, tall, wide] },
        );
  const mask = stretch ? stretched(b, large) : large;
  return layout === 'NCHW'
    ? mask
    : b.op('Reshape', [mask, b.int64s([0, tall, wide, 1])], {}, { dims: ['rows', tall, wide, 1] });
}

/** Each mask moved and scaled to run from 0 to 1; a constant one stays as it is. */
function stretched(b: GraphBuilder, mask: ValueName): ValueName {
  const low = b.neg(b.max(b.neg(mask), [1, 2, 3]));
  const range = b.sub(b.max(mask, [1, 2, 3]), low);
  const scaled = b.div(b.sub(mask, low), b.add(range, b.scalar(1e-8, range)));
  // Enlarging a constant leaves the last digits different.
  const least = b.mul(b.max(b.abs(mask), [1, 2, 3]), b.scalar(1e-5, range));
  return b.where(b.greater(range, least), scaled, mask);
}
