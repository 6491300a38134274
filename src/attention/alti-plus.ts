import { UserError } from '../onnx/index.ts';
import type { GraphBuilder, Model, NamedTensors, ValueName } from '../onnx/index.ts';
import type { Scores } from '../explanation/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { chainOf, checkOneRow, rowsToOne } from './chain.ts';
import { ATTENTION, chooseBlocks, finish, give, openAttention, runAttention } from './graph.ts';
import type { OpenAttention } from './graph.ts';
import { contributions } from './norms.ts';

/** What each token of a decoder owes to what was encoded and to what it wrote before. Rows of both sum to one together. */
export interface SourceAndTarget {
  /** [targets, sources]: shares of the tokens of the encoder. */
  readonly source: Scores;
  /** [targets, targets]: shares of the tokens of the decoder, the prefix. */
  readonly target: Scores;
  /** [targets, 2]: their sums, source and prefix. */
  readonly shares: Scores;
}

/**
 * ALTI+, Ferrando et al. 2022, https://arxiv.org/abs/2205.11631: ALTI through encoder, decoder and cross-attention. In each
 * block c(q, k) = max(0, |y_q| - |y_q - T(q, k)|) in the 1-norm, T through the layer norm that follows, rows made one; in
 * cross-attention the residual is one more place, of share r. With E of the encoder's layers multiplied, through the decoder
 * from S = 0, P = I: self-attention S := C S, P := C P; cross-attention S := r S + C E, P := r P. One forward pass; it knows
 * nothing of the answer, and passes feed-forward parts by. Where the model is given what was encoded, E = I. Throws a UserError
 * when the model has no cross-attention, or the batch is not 1.
 */
export async function altiPlus(
  host: ModelHost,
  tensors: NamedTensors,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<SourceAndTarget> {
  checkOneRow(tensors, 'alti-plus');
  if (!chooseBlocks(host.model).some(({ kind }) => kind === 'cross'))
    throw new UserError(
      'alti-plus is for a decoder that looks at what was encoded, and the model has no cross-attention: use alti',
    );
  const compile = (model: Model) => {
    const open = openAttention(model);
    const { source, target } = throughDecoder(open);
    const { b } = open;
    give(b, source, ATTENTION.whole('source'));
    give(b, target, ATTENTION.whole('target'));
    give(b, b.concat([b.sum(source, [1]), b.sum(target, [1])], 1), ATTENTION.whole('shares'));
    return finish(b);
  };
  const outputs = await runAttention(host, { kind: 'alti-plus' }, compile, tensors, signal);
  const [source, target, shares] = ['source', 'target', 'shares'].map((name) => outputs[ATTENTION.whole(name)]!);
  return { source: source!, target: target!, shares: shares! };
}

function throughDecoder(open: OpenAttention): { readonly source: ValueName; readonly target: ValueName } {
  const { b, blocks } = open;
  const encoder = blocks.filter(({ block }) => block.kind === 'encoder');
  const encoded =
    encoder.length === 0
      ? undefined
      : chainOf(
          b,
          encoder.map((each) => rowsToOne(b, contributions(open, each))),
        );
  let source: ValueName | undefined;
  let target: ValueName | undefined;
  for (const each of blocks) {
    if (each.block.kind === 'encoder') continue;
    const shares = rowsToOne(b, contributions(open, each));
    if (each.block.kind === 'decoder') {
      source = source && b.matmul(shares, source);
      target = target === undefined ? shares : b.matmul(shares, target);
      continue;
    }
    const [first, last] = [b.int64s([0]), b.int64s([-1])];
    const own = b.slice(shares, last, b.int64s([2 ** 31 - 1]), [1]);
    const taken = b.slice(shares, first, last, [1]);
    const added = encoded === undefined ? taken : b.matmul(taken, encoded);
    source = source === undefined ? added : b.add(b.mul(own, source), added);
    target = b.mul(own, target ?? identityOfRows(b, shares));
  }
  return { source: source!, target: target! };
}

/** [rows, rows]. */
function identityOfRows(b: GraphBuilder, matrix: ValueName): ValueName {
  const rows = b.positions(matrix, 0);
  return b.cast(b.equal(b.unsqueeze(rows, [1]), b.unsqueeze(rows, [0])), b.type(matrix));
}
