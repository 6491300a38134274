/** A list in random order, by a stream of uniform numbers. */
export function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const rest = [...list];
  return Array.from({ length: rest.length }, () => rest.splice(Math.floor(random() * rest.length), 1)[0]!);
}
