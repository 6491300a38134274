import type { Explanation } from '../explanation/index.ts';
import type { ScaleKind } from './scale.ts';

/** What one score is measured in. */
export type Unit = 'contribution' | 'sensitivity' | 'score';

export interface MethodFacts {
  readonly kind: ScaleKind;
  readonly unit: Unit;
  /** Its sentence in `messages.ts`, when there is one. */
  readonly name: KnownMethod | undefined;
}

export type KnownMethod = 'saliency' | 'input-x-gradient' | 'integrated-gradients';

const KNOWN: Readonly<Record<KnownMethod, Omit<MethodFacts, 'name'>>> = {
  saliency: { kind: 'sequential', unit: 'sensitivity' },
  'input-x-gradient': { kind: 'diverging', unit: 'contribution' },
  'integrated-gradients': { kind: 'diverging', unit: 'contribution' },
};

/**
 * How to draw a method's scores. A method that is unsigned by its paper is drawn as diverging all the same when one
 * of its scores is negative (`saliency` with signs kept); a method not listed here is taken as signed.
 */
export function methodFacts(explanation: Explanation): MethodFacts {
  const name = isKnown(explanation.method) ? explanation.method : undefined;
  const facts = name === undefined ? ({ kind: 'diverging', unit: 'score' } as const) : KNOWN[name];
  const negative = Object.values(explanation.attributions).some(({ data }) => data.some((score) => score < 0));
  return { kind: negative ? 'diverging' : facts.kind, unit: facts.unit, name };
}

function isKnown(method: string): method is KnownMethod {
  return Object.hasOwn(KNOWN, method);
}
