/** Readers of what an address or the browser's storage holds: anybody may have written it, so each value is checked. */

/** One of the choices, or the fallback for everything else. */
export function readChoice<T extends string>(text: string | undefined, choices: readonly T[], fallback: T): T {
  return choices.find((each) => each === text) ?? fallback;
}

/** A list of names with commas between them: those that are allowed, each once; the fallback where none is left. */
export function readNames(text: string, allowed: readonly string[], fallback: string): readonly string[] {
  const known = (names: string): readonly string[] => [
    ...new Set(names.split(',').filter((name) => allowed.includes(name))),
  ];
  const names = known(text);
  return names.length > 0 ? names : known(fallback);
}

/** A percentage from 0 to 100, or the fallback. */
export function readPercent(text: string, fallback: number): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  return value >= 0 && value <= 100 ? value : fallback;
}
