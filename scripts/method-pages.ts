/**
 * What every method computes, its options, cost, flaws and paper, from the comments and options of the method modules, as
 * a block in docs/methods.md.
 *
 *     npx tsx scripts/method-pages.ts
 */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { ALL_METHODS } from '../src/attribution/index.ts';
import type { Method } from '../src/programs/index.ts';
import { table, writeBlock } from './blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
const files = ['src/attribution/methods', 'src/surrogates'].flatMap((folder) =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => path.join(folder, file)),
);

interface Page {
  readonly methods: readonly Method[];
  readonly text: string;
}

/** A comment and the methods named in the code below it, up to the next comment that has any. */
function pagesOf(source: string): Page[] {
  const parts = source.split(/\/\*\*([\s\S]*?)\*\//);
  const pages: { methods: Method[]; text: string }[] = [];
  for (let at = 1; at < parts.length; at += 2) {
    const text = parts[at]!.replaceAll(/^\s*\*? ?/gm, '').trim();
    const methods = ALL_METHODS.filter(({ name }) =>
      new RegExp(`(?:\\bname: |\\bdefine\\w*\\(\\s*)'${name}'`).test(parts[at + 1]!),
    );
    // Of several methods in one file the comment with the formula stands above what defines them.
    if (methods.length > 0) pages.push({ methods, text });
    else if (/Cost:/.test(text)) pages.push({ methods: [], text });
  }
  const shared = pages.filter(({ methods }) => methods.length === 0).map(({ text }) => text);
  return pages
    .filter(({ methods }) => methods.length > 0)
    .map(({ methods, text }) => ({ methods, text: [...shared, text].join('\n\n') }));
}

function optionsOf(method: Method): string {
  const rows = Object.entries(method.options).map(([name, spec]) => [
    `\`${name}\``,
    spec.kind === 'choice' ? spec.choices.join(', ') : spec.kind,
    spec.default === null ? '' : String(spec.default),
    spec.help,
  ]);
  return rows.length === 0 ? 'No options.' : table(['option', 'values', 'default', ''], rows);
}

const LAYERS = {
  'as-inputs': 'With `--layer` it scores the layer, with `--neuron` it explains the neuron.',
  'needs-layer': 'Needs `--layer`.',
  'needs-neuron': 'Needs `--layer` and `--neuron`.',
  'own-layer': 'Works at a layer of its own choice, or at `--layer`.',
  none: 'Works on the inputs only.',
} as const;

function section({ methods, text }: Page): string {
  const own = methods.map((method) => [
    `**\`${method.name}\`**: ${method.summary}. ${LAYERS[method.layers]}${
      method.usesBaseline === false
        ? ''
        : method.usesBaseline === 'many'
          ? ' Compares with the baselines given, one or many.'
          : ' Compares with a baseline.'
    }`,
    '',
    optionsOf(method),
    '',
  ]);
  return [`### ${methods.map(({ name }) => name).join(', ')}`, '', text, '', ...own.flat()].join('\n');
}

const pages = files.flatMap((file) => pagesOf(readFileSync(path.join(root, file), 'utf8')));
const rank = (page: Page) => ALL_METHODS.indexOf(page.methods[0]!);
const content = pages
  .toSorted((left, right) => rank(left) - rank(right))
  .map(section)
  .join('\n')
  .trim();
const named = new Set(pages.flatMap(({ methods }) => methods.map(({ name }) => name)));
const missing = ALL_METHODS.filter(({ name }) => !named.has(name)).map(({ name }) => name);
if (missing.length > 0) throw new Error(`no comment found for ${missing.join(', ')}`);
writeBlock(path.join(root, 'docs/methods.md'), 'pages', content);
console.log(`${pages.length} pages of ${named.size} methods`);
