import { weightNumbers } from '../onnx/index.ts';
import type { Node, ValueName, Weight } from '../onnx/index.ts';
import { isProduct } from './trace.ts';
import type { Tracer } from './trace.ts';

const COMPARISONS = new Set(['Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual']);
/** Operators that leave positions positions. */
const POSITIONAL = new Set([
  'Unsqueeze',
  'Squeeze',
  'Reshape',
  'Transpose',
  'Expand',
  'Cast',
  'Identity',
  'Slice',
  'Add',
  'Sub',
  'CumSum',
]);
const SUMS = new Set(['Add', 'Sub']);

/**
 * Whether what is added to or selected from the scores hides what comes later: built with Trilu, by comparing two
 * vectors of positions, or a constant triangular mask.
 */
export function isCausal(tracer: Tracer, softmaxInput: ValueName): boolean {
  const seen = new Set<ValueName>();
  const visit = (value: ValueName): boolean => {
    if (value === '' || seen.has(value)) return false;
    seen.add(value);
    const weight = tracer.model.graph.initializers.get(value);
    if (weight !== undefined) return isTriangular(weight);
    const node = tracer.producers.get(value);
    if (node === undefined || isProduct(node) || node.operator === 'Gather' || node.operator === 'Shape') return false;
    if (node.operator === 'Trilu') return true;
    if (COMPARISONS.has(node.operator) && comparesPositions(tracer, node)) return true;
    return node.inputs.some(visit);
  };
  return visit(softmaxInput);
}

function comparesPositions(tracer: Tracer, node: Node): boolean {
  return node.inputs.every((input) => isPositions(tracer, input, 0));
}

function isPositions(tracer: Tracer, value: ValueName, depth: number): boolean {
  const weight = tracer.model.graph.initializers.get(value);
  if (weight !== undefined) {
    const numbers = weightNumbers(weight);
    return numbers !== undefined && numbers.length > 1 && numbers.every((each, index) => each === numbers[0]! + index);
  }
  const node = tracer.producers.get(value);
  if (node === undefined) return /position/i.test(value);
  if (node.operator === 'Range') return true;
  // The axes and shapes that layout operators are told are no positions, however much 1, 2, 3 looks like some.
  const inputs = SUMS.has(node.operator) ? node.inputs : node.inputs.slice(0, 1);
  return depth < 12 && POSITIONAL.has(node.operator) && inputs.some((each) => isPositions(tracer, each, depth + 1));
}

/** A square whose entries above the diagonal are one value and all others another. */
function isTriangular(weight: Weight): boolean {
  const rows = weight.dims.at(-2);
  const columns = weight.dims.at(-1);
  if (rows === undefined || rows < 2 || rows !== columns) return false;
  const numbers = weightNumbers(weight, 4_194_304);
  if (numbers === undefined) return false;
  const [below, above] = [numbers[0]!, numbers[1]!];
  if (below === above) return false;
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      if (numbers[row * columns + column] !== (column > row ? above : below)) return false;
  return true;
}
