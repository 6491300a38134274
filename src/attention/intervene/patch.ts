import { UserError } from '../../onnx/index.ts';
import type { ValueName } from '../../onnx/index.ts';
import type { ModelHost } from '../../runtime/core.ts';
import type { Chain, Run } from './chain.ts';
import type { QuestionOptions, Subject } from './question.ts';
import { about, ask, checkSameShapes, headCount, layerAxis, positionLabels } from './question.ts';
import type { TableAxis, Intervention } from './result.ts';
import { axis, cells } from './result.ts';
import type { Row } from './rows.ts';
import type { Captured } from './segments.ts';

/** What is carried over from the clean run to the corrupted one. */
export const PATCHES = ['stream', 'heads', 'pattern', 'attention', 'mlp'] as const;
export type Patch = (typeof PATCHES)[number];

export interface PatchRequest extends QuestionOptions {
  readonly clean: Subject;
  readonly corrupted: Subject;
  /**
   * `stream` (the default): the residual stream before each layer, position by position; `heads`: each head's context,
   * all positions; `pattern`: each head's probabilities alone; `attention`, `mlp`: what a layer's branch adds to the
   * stream, position by position.
   */
  readonly what?: Patch;
}

/**
 * Activation patching (causal tracing): runs the corrupted input with one activation taken from the run of the clean one,
 * for every place, and reports the target's value:
 * - `difference`: value(patched) - value(corrupted);
 * - `normalised`: that divided by value(clean) - value(corrupted): 0 restores nothing, 1 all. Not clamped.
 * Rows are places, run in batches; a place in layer k starts from the corrupted run's stream before k. Cost: two passes,
 * and for each place the share of the model that lies behind it, half a pass on average.
 * Known flaw: what is patched may be out of what the model ever sees; a place that restores the answer need not be
 * needed for it. Vig et al. 2020, https://arxiv.org/abs/2004.12265; Meng et al. 2022, https://arxiv.org/abs/2202.05262;
 * on how to read it Zhang & Nanda 2024, https://arxiv.org/abs/2309.16042.
 * Throws a UserError when the inputs differ in shape, and for what a model has no place for.
 */
export async function patch(host: ModelHost, request: PatchRequest): Promise<Intervention> {
  const { clean, corrupted, what = 'stream', ...options } = request;
  checkSameShapes(clean, corrupted, ['clean', 'corrupted']);
  const question = await ask(host, clean, options);
  const { chain, run, target, value } = question;
  const donor = what === 'stream' ? run : await chain.read(clean.inputs, capturesFor(chain, what));
  const base = await chain.read(corrupted.inputs);
  const [corruptedValue] = await chain.values(base, [{ at: chain.depth }], target);
  const { rows, index, layers, columns } = placesOf(chain, what, run, clean);
  const values = await chain.values(base, rows, target, { stream: donor, donor: (name) => donor.captured.get(name) });
  const [difference, normalised] = [
    cells(layers.labels.length, columns.labels.length),
    cells(layers.labels.length, columns.labels.length),
  ];
  const whole = value - corruptedValue!;
  const tells = Math.abs(whole) > 1e-6 * Math.max(1, Math.abs(value));
  values.forEach((patched, row) => {
    difference.data[index[row]!] = patched - corruptedValue!;
    if (tells) normalised.data[index[row]!] = (patched - corruptedValue!) / whole;
  });
  return about(question, {
    command: 'patch',
    analysis: what,
    options: { what },
    corruptedValue: corruptedValue!,
    ...(corrupted.tokens && { corruptedTokens: corrupted.tokens }),
    tables: [{ name: what, rows: layers, columns, measures: { normalised, difference } }],
    warnings: tells ? [] : ['both inputs get the same answer: there is nothing to restore, so nothing is normalised'],
  });
}

interface Places {
  readonly rows: readonly Row[];
  /** Cell of each row. */
  readonly index: readonly number[];
  readonly layers: TableAxis;
  readonly columns: TableAxis;
}

function placesOf(chain: Chain, what: Patch, run: Run, subject: Subject): Places {
  const rows: Row[] = [];
  const index: number[] = [];
  const blocks =
    what === 'stream'
      ? chain.stream.segments.map(({ blocks: own }) => chain.blocks[own[0]!.block]!)
      : chain.streamBlocks;
  const byHead = what === 'heads' || what === 'pattern';
  const positions = Math.max(...run.hidden.map(({ dims }) => dims[1]!));
  const width = byHead ? Math.max(...blocks.map(headCount)) : positions;
  blocks.forEach((block, layer) => {
    const at = chain.segmentOf(block.index);
    if (byHead) {
      for (let head = 0; head < headCount(block); head++) {
        rows.push({ at, changes: [{ site: what, block: block.index, heads: [head] }] });
        index.push(layer * width + head);
      }
      return;
    }
    if (what !== 'stream' && branchOf(chain, block.index, what) === undefined) return;
    for (let position = 0; position < run.hidden[at]!.dims[1]!; position++) {
      rows.push(
        what === 'stream'
          ? { at, positions: [position] }
          : { at, changes: [{ site: what, block: block.index, positions: [position] }] },
      );
      index.push(layer * width + position);
    }
  });
  if (rows.length === 0)
    throw new UserError(`no layer of the model adds a branch "${what}" to a stream: nothing to patch`);
  return {
    rows,
    index,
    layers: layerAxis(blocks),
    columns: byHead
      ? axis(
          'head',
          Array.from({ length: width }, (_, head) => head),
        )
      : axis('position', positionLabels(subject, positions)),
  };
}

/** What a branch adds to the stream, where the model is known to have it. */
export function branchOf(chain: Chain, block: number, branch: 'attention' | 'mlp'): ValueName | undefined {
  return chain.stream.segments.flatMap(({ blocks }) => blocks).find((sites) => sites.block === block)?.[branch];
}

/** The values of the clean run that a patch takes over. */
function capturesFor(chain: Chain, what: Exclude<Patch, 'stream'>): readonly Captured[] {
  return chain.streamBlocks.flatMap(({ index, heads, context, probabilities }): Captured[] => {
    if (what === 'heads') return [{ value: context, heads }];
    if (what === 'pattern') return [{ value: probabilities, heads }];
    const value = branchOf(chain, index, what);
    return value === undefined ? [] : [{ value, heads: null }];
  });
}
