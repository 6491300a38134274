/** Holds the house's one rule: a room imports only rooms before it, and only through their door. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** In order of the data's way; rooms in one row do not see each other. */
const ROWS = [
  ['onnx'],
  ['autodiff'],
  ['runtime'],
  ['inputs'],
  ['tasks'],
  ['explanation'],
  ['programs'],
  ['attribution', 'attention', 'surrogates', 'glassbox', 'training'],
  ['evaluation', 'inspection'],
  ['views'],
  ['batch', 'atlas', 'server'],
  ['cli'],
];
const rank = new Map(ROWS.flatMap((rooms, row) => rooms.map((room) => [room, row] as const)));
const root = path.resolve(import.meta.dirname, '../src');
const problems: string[] = [];

for (const file of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
  if (!/\.tsx?$/.test(file)) continue;
  const room = file.includes(path.sep) ? file.split(path.sep)[0]! : undefined;
  if (room !== undefined && !rank.has(room)) problems.push(`src/${file}: room "${room}" is not in the house's list`);
  if (room === undefined) continue;
  for (const [, specifier] of readFileSync(path.join(root, file), 'utf8').matchAll(
    /(?:from|import)\s*\(?\s*'(\.[^']+)'/g,
  )) {
    const target = path.relative(root, path.resolve(root, path.dirname(file), specifier!));
    const [targetRoom, ...rest] = target.split(path.sep);
    if (targetRoom === room) continue;
    if (rest.join('/') !== 'index.ts') problems.push(`src/${file}: imports ${target}, not the door of "${targetRoom}"`);
    const [from, to] = [rank.get(room), rank.get(targetRoom!)];
    if (from === undefined || to === undefined || to >= from)
      problems.push(`src/${file}: "${room}" may not use "${targetRoom}", which is not before it`);
  }
}

for (const problem of problems) console.error(problem);
console.log(
  `rooms: ${problems.length === 0 ? 'all dependencies point one way' : `${problems.length} wrong dependencies`}`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
