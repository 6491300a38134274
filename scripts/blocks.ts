/** Numbers in documents are written by scripts, between `<!-- begin:NAME -->` and `<!-- end:NAME -->`. */
import { readFileSync, writeFileSync } from 'node:fs';

export function writeBlock(file: string, name: string, content: string): void {
  const text = readFileSync(file, 'utf8');
  const [begin, end] = [`<!-- begin:${name} -->`, `<!-- end:${name} -->`];
  const [start, stop] = [text.indexOf(begin), text.indexOf(end)];
  if (start < 0 || stop < start) throw new Error(`${file} has no block ${name}`);
  writeFileSync(file, `${text.slice(0, start + begin.length)}\n${content.trim()}\n${text.slice(stop)}`);
}

/** A Markdown table. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
