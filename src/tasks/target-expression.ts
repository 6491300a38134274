/**
 * Targets that are sums: `2*spam - 0.5*ham`, `sum(0:5,2)`, `mean(:,1)`, `logprob(0,5) + logprob(1,7)`, `prob(spam)`.
 *
 *     expression := ['-'] term (('+' | '-') term)*
 *     term       := [number '*'] (place | function '(' places ')' | OUTPUT '[' ranges ']')
 *     function   := sum | mean | logprob | prob
 *     places     := ranges | OUTPUT '[' ranges ']'
 *     ranges     := a label, or one range for each axis after the batch: index | from:to | :
 *
 * Ranges are half-open, negative numbers count from the end. `logprob` and `prob` are of the softmax over the last axis,
 * summed over the ranges. A label with a hyphen, a plus or parentheses goes by its index here.
 *
 * A sum over several outputs names them: `logprob(start_logits[7]) + logprob(end_logits[9])`.
 */
import { UserError } from '../onnx/index.ts';
import type { OutputTerm, TargetTerm } from './target-type.ts';

const FUNCTIONS = ['sum', 'mean', 'logprob', 'prob'] as const;
type Scale = 'log-probability' | 'probability';

/** Whether a target's text is an expression of this grammar. */
export function isExpression(text: string): boolean {
  return /\b(?:sum|mean|logprob|prob)\s*\(|\*|\+/.test(text);
}

/** Those of the outputs that a target's text names: `end_logits[9]`. */
export function outputsNamed(text: string, outputs: readonly string[]): readonly string[] {
  return outputs.filter((name) => new RegExp(`(?<![\\w.:/-])${escaped(name)}\\[`).test(text));
}

const escaped = (name: string) => name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** The terms of an expression that names outputs; `dims` by output, without the batch axis. */
export function parseOutputTerms(
  text: string,
  dims: ReadonlyMap<string, readonly number[]>,
): { readonly terms: readonly OutputTerm[]; readonly scale: Scale | undefined } {
  const scale = expressionScale(text);
  const terms = splitTerms(text).map(({ sign, body }): OutputTerm => {
    const { weight, name, inside } = readTerm(text, body, scale);
    const [, output, ranges] = /^(.*)\[([^[\]]*)\]$/s.exec(inside) ?? [];
    const own = output === undefined ? undefined : dims.get(output.trim());
    if (own === undefined)
      throw new UserError(
        `target "${text}": "${inside}" should be an output with a place in it, such as ${[...dims.keys()][0]}[0]`,
      );
    const box = boxOf(text, ranges!.trim(), own, () => undefined);
    return { output: output!.trim(), weight: sign * (name === 'mean' ? weight / sizeOfBox(box) : weight), box };
  });
  return { terms, scale };
}

/** On what scale an expression's values are; undefined for the output as it is. */
export function expressionScale(text: string): Scale | undefined {
  const plain = /\b(?:sum|mean)\s*\(/.test(text);
  const [log, probability] = [/\blogprob\s*\(/.test(text), /\bprob\s*\(/.test(text)];
  if (Number(plain) + Number(log) + Number(probability) > 1)
    throw new UserError(
      `target "${text}" adds up values on different scales: use one of sum and mean, logprob, or prob`,
    );
  return log ? 'log-probability' : probability ? 'probability' : undefined;
}

/** The terms of an expression. `place` finds what a label or indices mean, or nothing. */
export function parseExpression(
  text: string,
  dims: readonly number[],
  place: (text: string) => readonly number[] | undefined,
): { readonly terms: readonly TargetTerm[]; readonly scale: Scale | undefined } {
  const scale = expressionScale(text);
  const terms = splitTerms(text).map(({ sign, body }): TargetTerm => {
    const { weight, name, inside } = readTerm(text, body, scale);
    const box = boxOf(text, inside, dims, place);
    return { weight: sign * (name === 'mean' ? weight / sizeOfBox(box) : weight), box };
  });
  return { terms, scale };
}

const sizeOfBox = (box: TargetTerm['box']) => box.reduce((product, [from, to]) => product * (to - from), 1);

/** The factor of a term, its function if it has one, and what that is of. */
function readTerm(
  text: string,
  body: string,
  scale: Scale | undefined,
): { readonly weight: number; readonly name: (typeof FUNCTIONS)[number] | undefined; readonly inside: string } {
  const [, factor, rest] = /^(?:(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*\*\s*)?(.*)$/is.exec(body)!;
  const call = /^(\w+)\s*\((.*)\)$/s.exec(rest!.trim());
  const name = FUNCTIONS.find((each) => each === call?.[1]);
  if (name === undefined && scale !== undefined)
    throw new UserError(`target "${text}" adds up values on different scales: "${rest}" is not a probability`);
  return { weight: Number(factor ?? 1), name, inside: (name === undefined ? rest! : call![2]!).trim() };
}

/** Splits at plus and minus outside parentheses and brackets, but for the sign of an index or of an exponent. */
function splitTerms(text: string): { readonly sign: number; readonly body: string }[] {
  const terms: { sign: number; body: string }[] = [];
  let [sign, body, depth] = [1, '', 0];
  const push = () => {
    if (body.trim() === '') throw new UserError(`target "${text}": something is missing beside "+" or "-"`);
    terms.push({ sign, body: body.trim() });
    body = '';
  };
  for (const letter of text) {
    if (letter === '(' || letter === '[') depth++;
    if (letter === ')' || letter === ']') depth--;
    if (depth < 0) break;
    const isSign = (letter === '+' || letter === '-') && depth === 0 && !/\de$|,\s*$/i.test(body);
    if (!isSign) body += letter;
    else {
      if (terms.length > 0 || body.trim() !== '') push();
      sign = letter === '-' ? -1 : 1;
    }
  }
  if (depth !== 0) throw new UserError(`target "${text}": a parenthesis or bracket is missing`);
  push();
  return terms;
}

function boxOf(
  text: string,
  ranges: string,
  dims: readonly number[],
  place: (text: string) => readonly number[] | undefined,
): TargetTerm['box'] {
  if (!/^[-\d:,\s]+$/.test(ranges)) {
    const indices = place(ranges);
    if (indices === undefined) throw new UserError(`target "${text}": there is no label "${ranges}"`);
    return indices.map((index) => [index, index + 1] as const);
  }
  const parts = ranges.split(',').map((part) => part.trim());
  if (parts.length !== dims.length)
    throw new UserError(
      `target "${text}": "${ranges}" has ${parts.length} of the ${dims.length} axes after the batch axis (dims ${dims.join(' x ') || 'none'})`,
    );
  return parts.map((part, axis): readonly [number, number] => {
    const size = dims[axis]!;
    const found = /^(-?\d+)?\s*(:)?\s*(-?\d+)?$/.exec(part);
    const fromEnd = (given: string | undefined, fallback: number) =>
      given === undefined ? fallback : Number(given) < 0 ? Number(given) + size : Number(given);
    const from = fromEnd(found?.[1], 0);
    const to = found?.[2] === undefined ? from + 1 : fromEnd(found[3], size);
    const bare = found?.[1] === undefined && found?.[2] === undefined;
    if (!found || bare || from < 0 || to > size || from >= to)
      throw new UserError(
        `target "${text}": "${part}" is no range of axis ${axis + 1}, which has indices 0 to ${size - 1}`,
      );
    return [from, to];
  });
}
