/**
 * The three names closest to what somebody wrote, closest first.
 * @param forms what a name may be written as; itself unless said.
 */
export function nearestNames(
  text: string,
  names: readonly string[],
  forms: (name: string) => readonly string[] = (name) => [name],
): string[] {
  return names
    .map((name) => ({ name, distance: Math.min(...forms(name).map((form) => editDistance(text, form))) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name);
}

/** Levenshtein's distance: the fewest insertions, deletions and changes from one text to the other. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++)
      current[j] = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    previous = current;
  }
  return previous[b.length]!;
}
