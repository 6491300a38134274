/** How a method ended: with an explanation, or without one when it failed or was cancelled. */
export interface Outcome<T> {
  readonly model: string;
  /** What was explained, whatever tells one text or picture from another. */
  readonly subject: string;
  readonly explanation: T | undefined;
}

/** The last outcome of each method, by its name. */
export type Outcomes<T> = ReadonlyMap<string, Outcome<T>>;

/** The same map where nothing is new, so that a room is not drawn again for it. */
export function withOutcome<T>(all: Outcomes<T>, name: string, outcome: Outcome<T>): Outcomes<T> {
  const before = all.get(name);
  const same =
    before?.model === outcome.model && before.subject === outcome.subject && before.explanation === outcome.explanation;
  return same ? all : new Map([...all, [name, outcome]]);
}

/**
 * Whether a method may begin: methods take their turn, cheapest first, until each has ended once with this model. One that
 * failed or was cancelled has ended too: it holds up nobody.
 */
export function hasTurn(all: Outcomes<unknown>, order: readonly string[], name: string, model: string): boolean {
  return order.slice(0, order.indexOf(name)).every((before) => all.get(before)?.model === model);
}

/** Explanations by this model; with `subject`, of this text or picture only. Indices of tokens and targets hold for no other. */
export function explanationsOf<T>(
  all: Outcomes<T>,
  { model, subject }: { readonly model: string; readonly subject?: string },
): ReadonlyMap<string, T> {
  const found = new Map<string, T>();
  for (const [name, outcome] of all)
    if (
      outcome.explanation !== undefined &&
      outcome.model === model &&
      (subject === undefined || outcome.subject === subject)
    )
      found.set(name, outcome.explanation);
  return found;
}
