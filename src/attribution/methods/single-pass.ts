import type {
  Attribution,
  AttributionContext,
  BackwardRequest,
  Method,
  OptionSpecs,
  OptionsOf,
} from '../../programs/index.ts';
import { UsageError } from '../../onnx/index.ts';
import { defineMethod } from '../../programs/index.ts';

export interface SinglePassMethod<S extends OptionSpecs> {
  readonly name: string;
  readonly summary: string;
  readonly options: S;
  readonly usesBaseline?: boolean;
  readonly sumsTo?: Attribution['sumsTo'];
  /** What its rules change: without one of these operators on the way the method is another one, `otherwise`. */
  readonly changes?: { readonly operators: readonly string[]; readonly what: string; readonly otherwise: string };
  backward(options: OptionsOf<S>): BackwardRequest;
}

/** A method that is one forward and one backward pass by some set of rules. */
export function defineSinglePass<const S extends OptionSpecs>(method: SinglePassMethod<S>): Method {
  const { name, summary, options, usesBaseline = false, sumsTo = null, changes, backward } = method;
  return defineMethod<S>({
    name,
    summary,
    options,
    usesBaseline,
    layers: 'as-inputs',
    singlePass: { backward },
    attribute: (context, given) => {
      if (changes !== undefined) checkApplies(name, changes, context);
      return runSinglePass(context, backward(given), usesBaseline, sumsTo);
    },
  });
}

function checkApplies(
  name: string,
  { operators, what, otherwise }: NonNullable<SinglePassMethod<OptionSpecs>['changes']>,
  context: AttributionContext,
): void {
  const { nodes } = context.model().graph;
  const reaches = new Set([context.output]);
  for (const { operator, inputs, outputs } of nodes.toReversed()) {
    if (!outputs.some((output) => reaches.has(output))) continue;
    if (operators.includes(operator)) return;
    for (const input of inputs) reaches.add(input);
  }
  throw new UsageError(
    `${name} does not apply: there is no ${what} on the way to "${context.output}", so it would be no other than ${otherwise}`,
  );
}

async function runSinglePass(
  context: AttributionContext,
  backward: BackwardRequest,
  usesBaseline: boolean,
  sumsTo: Attribution['sumsTo'],
): Promise<Attribution> {
  const runner = await context.open({ rows: 'alphas', backward });
  const target = await context.target(runner);
  // Where the backward pass does not run the model on the baseline, that rides along with weight 0.
  const alphas = usesBaseline && backward.rules?.set !== 'deep-lift' ? [0, 1] : [1];
  const { scores, values, baselineValues } = await runner.run({ alphas, weights: alphas }, target);
  const baselineValue = usesBaseline ? (baselineValues[0] ?? values[0]!) : null;
  return { scores, value: values.at(-1)!, baselineValue, sumsTo };
}
