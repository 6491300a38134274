/** What is read off a model's outputs before anything about it is explained. */
import type { GraphBuilder, ValueName } from '../onnx/index.ts';

/**
 * - `diagonal`: the output compares every row with every other [rows, rows]; each row with itself is read, [rows, 1];
 * - `cosine`: how alike the output [rows, size] is to the one it is read `with`, [rows, 1], times `scale` (default 1);
 * - `mask`: the raw mask of one instance, [rows, height, width]: prototypes [rows, count, height, width] weighted by what stands
 *   in the output's row (or column, where `turned`) from `first` on, as YOLO's segmentation heads do.
 */
export type Reading =
  | { readonly kind: 'diagonal' }
  | { readonly kind: 'cosine'; readonly with: ValueName; readonly scale?: number }
  | {
      readonly kind: 'mask';
      readonly prototypes: ValueName;
      readonly count: number;
      readonly row: number;
      readonly first: number;
      readonly turned: boolean;
    };

/** Other outputs that a reading takes beside its own. */
export function readBeside(reading: Reading | undefined): readonly ValueName[] {
  if (reading === undefined || reading.kind === 'diagonal') return [];
  return [reading.kind === 'cosine' ? reading.with : reading.prototypes];
}

/**
 * Appends what is read of an output. A model that compares pairs does so with all rows of a batch; read like this each row
 * depends on itself alone.
 */
export function appendReading(
  b: GraphBuilder,
  output: ValueName,
  reading: Reading,
  renamed: ReadonlyMap<ValueName, ValueName>,
): ValueName {
  if (reading.kind === 'diagonal') {
    const own = b.equal(b.unsqueeze(b.positions(output, 0), [1]), b.unsqueeze(b.positions(output, 1), [0]));
    return b.sum(b.mul(output, b.cast(own, b.type(output))), [1]);
  }
  if (reading.kind === 'cosine') {
    const other = renamed.get(reading.with) ?? reading.with;
    const square = b.mul(b.sum(b.square(output), [1]), b.sum(b.square(other), [1]));
    const cosine = b.div(b.sum(b.mul(output, other), [1]), b.sqrt(square));
    return reading.scale === undefined ? cosine : b.mul(cosine, b.scalar(reading.scale, output));
  }
  const { count, row, first, turned } = reading;
  const prototypes = renamed.get(reading.prototypes) ?? reading.prototypes;
  const rows = b.dims(output)?.[0];
  const own = b.gather(output, b.constant('int64', [], [row]), turned ? 2 : 1);
  const weights = b.slice(own, b.int64s([first]), b.int64s([first + count]), [1], undefined, [rows, count]);
  return b.sum(b.mul(prototypes, b.unsqueeze(weights, [2, 3])), [1], false);
}
