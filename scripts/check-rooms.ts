/**
 * Holds the house's two rules: a room imports only rooms before it, and only through their doors; and what the browser's
 * door (src/browser.ts) reaches needs nothing of Node.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
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
  ['surrogates'],
  ['attention'],
  ['attribution', 'glassbox', 'training'],
  ['evaluation', 'inspection', 'visualisation'],
  ['jobs'],
  ['views'],
  ['batch', 'atlas', 'server'],
  ['cli'],
];
/** `index.ts` is a room's door in Node, `browser.ts` the one in a browser, `core.ts` what both have. */
const DOORS = new Set(['index.ts', 'core.ts', 'browser.ts']);
/** Packages that run in a browser. */
const PORTABLE = [
  '@bufbuild/protobuf',
  'onnx-buf',
  '@huggingface/tokenizers',
  'onnxruntime-common',
  'onnxruntime-web',
  'umap-js',
];

const rank = new Map(ROWS.flatMap((rooms, row) => rooms.map((room) => [room, row] as const)));
const root = path.resolve(import.meta.dirname, '../src');
const problems: string[] = [];

interface Import {
  readonly specifier: string;
  readonly isType: boolean;
}

/** What a file imports, statically, dynamically or as the script of a Worker. */
function importsOf(file: string): Import[] {
  const source = readFileSync(path.join(root, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
  const statements = source.matchAll(/^(?:import|export)\s+(type\s)?[^;]*?\bfrom\s+'([^']+)'/gm);
  const others = source.matchAll(/(?:^import\s+|\bimport\(\s*|new URL\((?='\.))'([^']+)'/gm);
  return [
    ...Array.from(statements, ([, type, specifier]) => ({ specifier: specifier!, isType: type !== undefined })),
    ...Array.from(others, ([, specifier]) => ({ specifier: specifier!, isType: false })),
  ];
}

/** The file in src/ that a relative import means. */
const resolve = (file: string, specifier: string): string =>
  path.join(path.dirname(file), specifier).replace(/\.js$/, '.ts');

function checkDirections(file: string): void {
  const room = file.split(path.sep)[0]!;
  if (!rank.has(room)) problems.push(`src/${file}: room "${room}" is not in the house's list`);
  for (const { specifier } of importsOf(file)) {
    if (!specifier.startsWith('.')) continue;
    const target = resolve(file, specifier);
    const [targetRoom, ...rest] = target.split(path.sep);
    if (targetRoom === room || targetRoom === '..') continue;
    if (!DOORS.has(rest.join('/'))) problems.push(`src/${file}: imports ${target}, no door of "${targetRoom}"`);
    const [from, to] = [rank.get(room), rank.get(targetRoom!)];
    if (from === undefined || to === undefined || to >= from)
      problems.push(`src/${file}: "${room}" may not use "${targetRoom}", which is not before it`);
  }
}

/** Follows what runs from the browser's door on; types are gone by then. */
function checkPortable(file: string, seen: Set<string>): void {
  if (seen.has(file)) return;
  seen.add(file);
  for (const { specifier, isType } of importsOf(file)) {
    if (isType) continue;
    if (!specifier.startsWith('.')) {
      if (!PORTABLE.some((name) => specifier === name || specifier.startsWith(`${name}/`)))
        problems.push(`src/${file}: imports ${specifier}, but the browser's door reaches this file`);
      continue;
    }
    const target = resolve(file, specifier);
    const door = path.join(path.dirname(target), 'core.ts');
    if (path.basename(target) === 'index.ts' && existsSync(path.join(root, door)))
      problems.push(`src/${file}: imports ${target}, the door in Node, but a browser reaches this file: use ${door}`);
    else checkPortable(target, seen);
  }
}

for (const file of readdirSync(root, { recursive: true, encoding: 'utf8' }))
  if (/\.tsx?$/.test(file) && file.includes(path.sep)) checkDirections(file);
checkPortable('browser.ts', new Set());

for (const problem of problems) console.error(problem);
console.log(
  `rooms: ${problems.length === 0 ? 'all dependencies point one way, and the browser needs nothing of Node' : `${problems.length} wrong dependencies`}`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
