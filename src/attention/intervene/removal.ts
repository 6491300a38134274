/** The answer when positions are taken out. */
import { sizeOf } from '../../onnx/index.ts';
import type { DenseTensor, NamedTensors } from '../../onnx/index.ts';
import { numbers } from '../../programs/index.ts';
import { classRow, readDistributions, toDistribution } from './distribution.ts';
import type { Question } from './question.ts';
import { blank, copyElements, stacked } from './rows.ts';

/** `delete`: tokens are deleted from the sequence; `attention`: no other position attends to them. */
export type Removal = 'delete' | 'attention';

/** Tokens can be deleted when all inputs are ids and flags of one length; pixels cannot. */
export function canDelete({ chain, run }: Question): boolean {
  const positions = run.hidden[0]!.dims[1];
  return (
    chain.stream.sides.length === 0 &&
    Object.values(run.inputs).every(
      ({ type, dims }) => (type === 'int64' || type === 'int32') && dims.length === 2 && dims[1] === positions,
    )
  );
}

/** Distribution over classes for the input, and for each list of positions taken out. */
export async function withoutPositions(
  question: Question,
  removed: readonly (readonly number[])[],
  how: Removal,
): Promise<{ readonly before: Float64Array; readonly after: readonly Float64Array[] }> {
  const { chain, run, targetRef } = question;
  if (how === 'attention') {
    const blocks = chain.streamBlocks.filter(({ kind }) => kind !== 'cross');
    return readDistributions(
      question,
      removed.map((keys) => ({
        at: 0,
        changes: blocks.map(({ index }) => ({
          site: 'edges',
          block: index,
          heads: 'all',
          query: 'all',
          keys,
          spareSelf: true,
        })),
      })),
    );
  }
  const place = classRow(targetRef, run.answer);
  const { output, signal, onProgress } = chain.options;
  const session = await chain.host.openOriginal();
  try {
    const after: Float64Array[] = [];
    const inner = sizeOf(run.answer.dims.slice(2));
    const limit = chain.mixesRows ? 1 : 16;
    for (let start = 0; start < removed.length;) {
      let end = start + 1;
      while (end < removed.length && end - start < limit && removed[end]!.length === removed[start]!.length) end++;
      const rows = removed.slice(start, end);
      const inputs = rows.map((positions) => deleted(run.inputs, new Set(positions)));
      const batch = session.inputNames.map((name) => [name, stacked(inputs.map((each) => each[name]!))]);
      const answer = (await session.run(Object.fromEntries(batch), { outputs: [output], ...(signal && { signal }) }))[
        output
      ]!;
      const size = sizeOf(answer.dims.slice(1));
      rows.forEach((positions, row) => {
        // What is deleted before the target's position moves it.
        const before =
          question.target.position === undefined
            ? 0
            : positions.filter((position) => position < targetRef.indices[0]!).length;
        const from = row * size + place.start - before * inner;
        after.push(toDistribution(Array.from(numbers(answer).subarray(from, from + place.size)), place.link));
      });
      chain.runner.countPasses(rows.length);
      start = end;
      onProgress?.(start, removed.length);
    }
    const whole = Array.from(numbers(run.answer).subarray(place.start, place.start + place.size));
    return { before: toDistribution(whole, place.link), after };
  } finally {
    await session.release();
  }
}

function deleted(inputs: NamedTensors, positions: ReadonlySet<number>): NamedTensors {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, tensor]): [string, DenseTensor] => {
      const kept = Array.from({ length: tensor.dims[1]! }, (_, at) => at).filter((at) => !positions.has(at));
      const result = blank(tensor, [1, kept.length]);
      kept.forEach((from, to) => copyElements(tensor, from, 1, result, to));
      return [name, result];
    }),
  );
}
