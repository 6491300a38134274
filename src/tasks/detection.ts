/** What detectors answer: from their outputs, with or without NMS in the graph, to boxes with the places their numbers stand at. */
import { UserError, fromFloat16 } from '../onnx/index.ts';
import type { DenseTensor, NamedTensors } from '../onnx/index.ts';

/** Where one number of a box stands: an element of an output, by its indices after the batch axis (all, where there is none). */
export interface BoxElement {
  readonly output: string;
  readonly indices: readonly number[];
  /** The output has no batch axis, as that of a torchvision detector. */
  readonly unbatched: boolean;
}

/** A box the detector found, in pixels of the model's input. */
export interface Detection {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
  /** Index of the class, without the background. */
  readonly label: number;
  /** Class score times objectness, from 0 to 1. */
  readonly score: number;
  /** Scores of all classes, for comparing boxes. */
  readonly classes: readonly number[];
  readonly objectness: number;
  /** `class`, `objectness` where the detector has it, and its four coordinates in its own format (`x0` or `cx`, ...). */
  readonly elements: Readonly<Record<string, BoxElement>>;
  /** Of heads that segment: which of the boxes it is in the outputs, and where the weights of its prototypes stand. */
  readonly mask?: { readonly row: number; readonly first: number; readonly turned: boolean };
}

/** How a detector's outputs are read. */
export interface DetectorForm {
  readonly kind: 'yolov5' | 'yolov8' | 'end-to-end' | 'boxes-and-scores' | 'boxes-scores-labels';
  readonly boxes: string;
  readonly scores: string;
  readonly labels?: string;
  /** Of heads that segment: the prototypes [1, count, height, width], or masks [N, 1, height, width] as they are. */
  readonly masks?: { readonly output: string; readonly prototypes: number | undefined };
}

const NO_FORM =
  'as those of YOLOv5 [1, N, 5 + C], YOLOv8 [1, 4 + C, N], SSD or DETR (boxes [1, N, 4], scores [1, N, C]), or after NMS (boxes, scores, classes)';

/**
 * Recognises a detector by the dims and names of its outputs. Throws a UserError that names what is known when it is none.
 */
export function detectorForm(outputs: NamedTensors): DetectorForm {
  const entries = Object.entries(outputs);
  const after = ({ dims }: DenseTensor) => (dims.length > 2 && dims[0] === 1 ? dims.slice(1) : dims);
  const boxes = entries.filter(([, tensor]) => after(tensor).length === 2 && after(tensor)[1] === 4);
  for (const [name, tensor] of byName(boxes, /box|dets|loc/i)) {
    const count = after(tensor)[0]!;
    const lists = entries.filter(
      ([other, each]) => other !== name && sizeOf(each) === count && !after(each).includes(4),
    );
    const scores = lists.find(([other, each]) => isFloats(each) && !/class|label/i.test(other));
    const labels = lists.find(([other]) => other !== scores?.[0]);
    if (scores && labels && count > 0) {
      const pasted = entries.find(([, each]) => isFloats(each) && each.dims.length >= 3 && each.dims[0] === count);
      const masks = pasted && { masks: { output: pasted[0], prototypes: undefined } };
      return { kind: 'boxes-scores-labels', boxes: name, scores: scores[0], labels: labels[0], ...masks };
    }
    const table = byName(entries, /score|logit|class|conf/i).find(
      ([other, each]) => other !== name && after(each).length === 2 && after(each)[0] === count && isFloats(each),
    );
    if (table) return { kind: 'boxes-and-scores', boxes: name, scores: table[0] };
  }
  for (const [name, tensor] of entries) {
    const [first, second, more] = after(tensor) as [number, number | undefined, number | undefined];
    if (second === undefined || more !== undefined || !isFloats(tensor)) continue;
    if (second === 6 && first <= 1000 && wholeColumn(tensor, 6))
      return { kind: 'end-to-end', boxes: name, scores: name };
    if (first > 4 && first < second)
      return { kind: 'yolov8', boxes: name, scores: name, ...prototypesBeside(entries, name, first - 4) };
    if (second > 5 && second < first)
      return { kind: 'yolov5', boxes: name, scores: name, ...prototypesBeside(entries, name, second - 5) };
  }
  const shapes = entries.map(([name, { dims }]) => `"${name}" [${dims.join(', ')}]`).join(', ');
  throw new UserError(`the model's outputs are not ${NO_FORM}; they are ${shapes}`);
}

/** The maps [1, count, height, width] that masks are made of, where there is one class at least beside their weights. */
function prototypesBeside(
  entries: readonly (readonly [string, DenseTensor])[],
  name: string,
  columns: number,
): Pick<DetectorForm, 'masks'> {
  const found = entries.find(
    ([other, { dims }]) => other !== name && dims.length === 4 && dims[0] === 1 && dims[1]! < columns,
  );
  return found === undefined ? {} : { masks: { output: found[0], prototypes: found[1].dims[1]! } };
}

/**
 * All boxes of an answer with a score of at least `least`, best first, and of those of one class that overlap by more than
 * `overlap` (intersection over union) only the best. `size`: of the model's input.
 */
export function readBoxes(
  outputs: NamedTensors,
  form: DetectorForm,
  size: { readonly height: number; readonly width: number },
  { least = 0.25, overlap = 0.5 } = {},
): Detection[] {
  const found = proposals(outputs, form, size, least).sort((left, right) => right.score - left.score);
  const kept: Detection[] = [];
  for (const box of found)
    if (!kept.some((other) => other.label === box.label && intersectionOverUnion(other, box) > overlap)) kept.push(box);
  return kept;
}

type Corners = Pick<Detection, 'x0' | 'y0' | 'x1' | 'y1'>;

/** Area common to two boxes over the area of both together. */
export function intersectionOverUnion(left: Corners, right: Corners): number {
  const [width, height] = [
    Math.min(left.x1, right.x1) - Math.max(left.x0, right.x0),
    Math.min(left.y1, right.y1) - Math.max(left.y0, right.y0),
  ];
  if (width <= 0 || height <= 0) return 0;
  const area = ({ x0, y0, x1, y1 }: Corners) => (x1 - x0) * (y1 - y0);
  return (width * height) / (area(left) + area(right) - width * height);
}

/** Every box with a score of at least `least`, unsorted; of those that overlap another, where one is given. */
export function proposals(
  outputs: NamedTensors,
  form: DetectorForm,
  size: { readonly height: number; readonly width: number },
  least: number,
  overlapping?: Corners,
): Detection[] {
  const reader = rowReader(outputs, form);
  const normalized = reader.allCoordinates.every((value) => Math.abs(value) <= 2);
  const [wide, tall] = normalized ? [size.width, size.height] : [1, 1];
  const cornersOf = (row: number): Corners => {
    const [a, b, c, d] = reader.allCoordinates.slice(4 * row, 4 * row + 4) as [number, number, number, number];
    const [x0, y0, x1, y1] = reader.centred ? [a - c / 2, b - d / 2, a + c / 2, b + d / 2] : [a, b, c, d];
    return { x0: x0 * wide, y0: y0 * tall, x1: x1 * wide, y1: y1 * tall };
  };
  const found: Detection[] = [];
  for (let row = 0; row < reader.count; row++) {
    const corners = cornersOf(row);
    if (overlapping !== undefined && intersectionOverUnion(overlapping, corners) <= 0) continue;
    const box = reader.read(row);
    if (box.score >= least) found.push({ ...box, ...corners });
  }
  return found;
}

type Row = Omit<Detection, keyof Corners>;

interface RowReader {
  readonly count: number;
  /** Coordinates are centre and size, not corners. */
  readonly centred: boolean;
  /** Four of each box, one box after the other. */
  readonly allCoordinates: readonly number[];
  read(row: number): Row;
}

function rowReader(outputs: NamedTensors, { kind, boxes, scores, labels, masks }: DetectorForm): RowReader {
  const table = matrix(outputs[boxes]!);
  const turned = kind === 'yolov8';
  const [count, width] = turned ? [table.columns, table.rows] : [table.rows, table.columns];
  const at = (row: number, column: number) => (turned ? table.at(column, row) : table.at(row, column));
  const element = (row: number, column: number): BoxElement => ({
    output: boxes,
    indices: turned ? [column, row] : [row, column],
    unbatched: table.unbatched,
  });
  const four = (row: number) => [at(row, 0), at(row, 1), at(row, 2), at(row, 3)] as const;
  const allCoordinates = Array.from({ length: count }, (_, row) => four(row)).flat();
  const corners = Array.from({ length: count }, (_, row) => four(row)).every(([a, b, c, d]) => c >= a && d >= b);
  const centred =
    kind === 'yolov5' || turned || (kind === 'boxes-and-scores' && (/pred_boxes/.test(boxes) || !corners));
  const names = centred ? ['cx', 'cy', 'w', 'h'] : ['x0', 'y0', 'x1', 'y1'];
  const places = (row: number) => Object.fromEntries(names.map((name, column) => [name, element(row, column)]));
  const build = (
    row: number,
    label: number,
    classes: readonly number[],
    objectness: number,
    own: Record<string, BoxElement>,
  ): Row => ({
    label,
    classes,
    objectness,
    score: (classes[label] ?? classes[0]!) * objectness,
    elements: { ...own, ...places(row) },
  });
  const common = { count, centred, allCoordinates };
  if (kind === 'end-to-end')
    return {
      ...common,
      read: (row) => ({
        ...build(row, Math.round(at(row, 5)), [at(row, 4)], 1, { class: element(row, 4) }),
        score: at(row, 4),
      }),
    };
  if (kind === 'yolov5' || turned) {
    const first = turned ? 4 : 5;
    const last = width - (masks?.prototypes ?? 0);
    return {
      ...common,
      read(row) {
        const classes = Array.from({ length: last - first }, (_, index) => at(row, first + index));
        const label = largest(classes);
        const own = { class: element(row, first + label), ...(turned ? {} : { objectness: element(row, 4) }) };
        const box = build(row, label, classes, turned ? 1 : at(row, 4), own);
        return masks === undefined ? box : { ...box, mask: { row, first: last, turned } };
      },
    };
  }
  if (kind === 'boxes-scores-labels') {
    const [list, kinds] = [flat(outputs[scores]!), flat(outputs[labels!]!)];
    const { dims } = outputs[scores]!;
    const unbatched = dims.length === 1;
    return {
      ...common,
      read(row) {
        const indices = unbatched || dims.length === 2 ? [row] : [row, 0];
        const own = { class: { output: scores, indices, unbatched } };
        const mask = masks && { mask: { row, first: 0, turned } };
        return { ...build(row, kinds[row]!, [list[row]!], 1, own), score: list[row]!, ...mask };
      },
    };
  }
  const logits = matrix(outputs[scores]!);
  const scoresOf = (row: number) => Array.from({ length: logits.columns }, (_, column) => logits.at(row, column));
  // Of all boxes together: scores that a sigmoid gave one by one may add up to one by chance.
  const raw = logits.values.some((value) => value < 0 || value > 1);
  const shared = !raw && logits.sums().every((sum) => Math.abs(sum - 1) < 1e-3);
  // DETR's background is the last class, SSD's the first; without a softmax there is none.
  const detr = /logit/.test(scores);
  const background = raw || shared;
  return {
    ...common,
    read(row) {
      const shares = raw ? softmax(scoresOf(row)) : scoresOf(row);
      const classes = !background ? shares : detr ? shares.slice(0, -1) : shares.slice(1);
      const label = largest(classes);
      const column = background && !detr ? label + 1 : label;
      return build(row, label, classes, 1, {
        class: { output: scores, indices: [row, column], unbatched: logits.unbatched },
      });
    },
  };
}

function matrix(tensor: DenseTensor) {
  const values = flat(tensor);
  const unbatched = tensor.dims.length === 2;
  const [rows, columns] = tensor.dims.slice(-2) as [number, number];
  return {
    rows,
    columns,
    unbatched,
    values,
    at: (row: number, column: number) => values[row * columns + column]!,
    /** Of each row. */
    sums(): Float64Array {
      const sums = new Float64Array(rows);
      values.forEach((value, at) => (sums[Math.floor(at / columns)]! += value));
      return sums;
    },
  };
}

function flat({ type, data }: DenseTensor): Float64Array {
  if (data instanceof Float32Array) return Float64Array.from(data);
  return Float64Array.from(data as ArrayLike<number | bigint>, (value) =>
    type === 'float16' ? fromFloat16(Number(value)) : Number(value),
  );
}

const isFloats = ({ type }: DenseTensor) => type === 'float32' || type === 'float16' || type === 'float64';
const sizeOf = ({ dims }: DenseTensor) => dims.reduce((left, right) => left * right, 1);

function byName<T>(entries: readonly (readonly [string, T])[], name: RegExp): (readonly [string, T])[] {
  return [...entries].sort(([left], [right]) => Number(name.test(right)) - Number(name.test(left)));
}

function wholeColumn(tensor: DenseTensor, columns: number): boolean {
  return flat(tensor).every((value, at) => at % columns !== columns - 1 || Number.isInteger(value));
}

function largest(values: readonly number[]): number {
  let best = 0;
  values.forEach((value, index) => {
    if (value > values[best]!) best = index;
  });
  return best;
}

function softmax(values: readonly number[]): number[] {
  const most = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
