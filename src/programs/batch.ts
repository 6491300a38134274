/** How many rows run together. */
import { remembered } from '../onnx/index.ts';
import type { Model, NamedTensors } from '../onnx/index.ts';
import { DEFAULT_MEMORY_BUDGET, activationBytes, rowsTogether } from '../runtime/core.ts';
import { PROGRAM } from './names.ts';

/**
 * Activations of this size keep a CPU busy; with more, rows are no faster (and on the encoder of the zoo, whose values then
 * leave the caches, slower), while progress and aborting wait longer.
 */
const FAST_BYTES = 64 * 2 ** 20;
/**
 * Memory onnxruntime takes for each byte of values alive at once: its convolutions' own buffers, values kept in a second,
 * blocked layout, and what its arena loses between chunks. Measured on the embedded image model (bench/vision-memory.ts).
 */
const FORWARD_SLACK = 1.4;
const REVERSE_SLACK = 2;
/** Rows that read the weights together, however large they are. */
const LEAST_ROWS = 4;
const MAX_ROWS = 64;

/** What a row of a program takes, by the dims of its inputs. */
const memoryOf = remembered<number>();

/** How many rows of a program run together: as many as a CPU is fast with, within the memory that a run may take. */
export function rowsWithin(
  program: Model,
  {
    feeds,
    groups,
    memoryBudget = DEFAULT_MEMORY_BUDGET,
    reverse,
  }: {
    readonly feeds: NamedTensors;
    readonly groups?: NamedTensors | undefined;
    readonly memoryBudget?: number | undefined;
    /** Whether the program has a reverse pass, whose values stay alive longer. */
    readonly reverse: boolean;
  },
): number {
  // A model whose graph has the batch size written into it takes one row at a time.
  const output = program.graph.outputs.find(({ name }) => name === PROGRAM.output);
  // Where inference lost the rows' name on the way, `rowsAreIndependent` has the last word.
  if (output?.dims === undefined || typeof output.dims[0] === 'number') return 1;
  const dims = Object.fromEntries(concreteDims(program, feeds));
  for (const { name, dims: declared } of program.graph.inputs)
    if (declared?.[0] === 'rows') dims[name] = [1, ...(dims[name] ?? [])];
  for (const [name, tensor] of Object.entries(groups ?? {})) dims[PROGRAM.groups(name)] = tensor.dims;
  const each = memoryOf(program, JSON.stringify(dims), () => activationBytes(program, dims));
  const bytes = Math.min(
    memoryBudget / (reverse ? REVERSE_SLACK : FORWARD_SLACK),
    Math.max(FAST_BYTES, LEAST_ROWS * each),
  );
  return rowsTogether(each, bytes, MAX_ROWS);
}

/** Dims of the program's inputs for this input; those with rows without their first. */
export function concreteDims(program: Model, feeds: NamedTensors): ReadonlyMap<string, readonly number[]> {
  const named = new Map<string, number>();
  for (const { name, dims } of program.graph.inputs)
    dims?.forEach((dim, axis) => {
      const length = feeds[name]?.dims[axis];
      if (typeof dim === 'string' && length !== undefined) named.set(dim, length);
    });
  return new Map(
    program.graph.inputs.map(({ name, dims }) => {
      const own = feeds[name]?.dims ?? feeds[name.replace(/^onnxray\/[a-z]+\//, '')]?.dims;
      const rest = (dims ?? []).slice(dims?.[0] === 'rows' ? 1 : 0);
      const offset = dims?.[0] === 'rows' ? 1 : 0;
      return [
        name,
        feeds[name]?.dims ??
          rest.map((dim, axis) =>
            typeof dim === 'number' ? dim : (named.get(String(dim)) ?? own?.[axis + offset] ?? 1),
          ),
      ];
    }),
  );
}
