/**
 * Places on the page's way to its first picture, as marks of the browser's performance timeline: `bench/studio.ts` and anyone
 * with the developer tools open can see where the time goes. Each is set once.
 */
const NAMES = ['app', 'engine', 'room', 'picture', 'computed'] as const;

export function mark(name: (typeof NAMES)[number]): void {
  const full = `onnxray:${name}`;
  if (performance.getEntriesByName(full, 'mark').length === 0) performance.mark(full);
}
