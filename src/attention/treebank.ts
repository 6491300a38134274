import { UserError } from '../onnx/index.ts';

/** A word of a treebank and where it stands in its sentence. */
export interface TreeWord {
  readonly form: string;
  /** Index of the word it depends on; -1 for the root. */
  readonly head: number;
  readonly relation: string;
  /** Half-open range of the sentence's text; null where the form is not in it. */
  readonly range: readonly [number, number] | null;
}

export interface TreeSentence {
  readonly text: string;
  readonly words: readonly TreeWord[];
}

/**
 * Sentences of a treebank in CoNLL-U, https://universaldependencies.org/format.html: ten columns by tabs, blank lines between
 * sentences. Empty nodes are left out; words of a multiword token that are not written in the text stand where it does.
 * `name` is for errors. Throws a UserError for a line that is none of it.
 */
export function readTreebank(content: string, name: string): TreeSentence[] {
  const sentences: TreeSentence[] = [];
  let rows: Row[] = [];
  let text: string | undefined;
  const finish = () => {
    if (rows.some(({ kind }) => kind === 'word')) sentences.push(sentenceOf(rows, text, name));
    rows = [];
    text = undefined;
  };
  content.split(/\r?\n/).forEach((line, index) => {
    if (line.trim() === '') finish();
    else if (line.startsWith('#')) text = /^#\s*text\s*=\s*(.*)$/.exec(line)?.[1] ?? text;
    else rows.push(readRow(line, `${name}, line ${index + 1}`));
  });
  finish();
  if (sentences.length === 0) throw new UserError(`${name} holds no sentence in CoNLL-U`);
  return sentences;
}

interface Row {
  readonly kind: 'word' | 'span' | 'empty';
  /** Of a span: its first and last word. */
  readonly first: number;
  readonly last: number;
  readonly form: string;
  readonly head: number;
  readonly relation: string;
  readonly spaceAfter: boolean;
}

function readRow(line: string, where: string): Row {
  const cells = line.split('\t');
  const id = /^(\d+)(?:([-.])(\d+))?$/.exec(cells[0] ?? '');
  if (cells.length < 8 || id === null)
    throw new UserError(`${where} is not CoNLL-U: it has ${cells.length} columns by tabs and begins "${cells[0]}"`);
  const kind = id[2] === '-' ? 'span' : id[2] === '.' ? 'empty' : 'word';
  const head = kind === 'word' ? Number(cells[6]) : 0;
  if (!Number.isInteger(head) || head < 0) throw new UserError(`${where}: the head "${cells[6]}" is no word's number`);
  return {
    kind,
    first: Number(id[1]),
    last: Number(kind === 'span' ? id[3] : id[1]),
    form: cells[1]!,
    head,
    relation: cells[7]!,
    spaceAfter: !/(^|\|)SpaceAfter=No(\||$)/.test(cells[9] ?? ''),
  };
}

function sentenceOf(rows: readonly Row[], given: string | undefined, name: string): TreeSentence {
  const listed = rows.filter(({ kind }) => kind === 'word');
  listed.forEach(({ first, form, head }, at) => {
    if (first !== at + 1) throw new UserError(`${name}: the word "${form}" is numbered ${first}, not ${at + 1}`);
    if (head > listed.length)
      throw new UserError(`${name}: the word "${form}" depends on word ${head} of a sentence of ${listed.length}`);
  });
  const spans = rows.filter(({ kind }) => kind === 'span');
  const inSpan = (word: Row) => spans.find(({ first, last }) => word.first >= first && word.first <= last);
  const surface = rows.filter((row) => row.kind === 'span' || (row.kind === 'word' && inSpan(row) === undefined));
  const text =
    given ??
    surface
      .map(({ form, spaceAfter }) => (spaceAfter ? `${form} ` : form))
      .join('')
      .trimEnd();
  const ranges = new Map<Row, readonly [number, number] | null>();
  let cursor = 0;
  for (const row of surface) {
    const start = text.indexOf(row.form, cursor);
    const found = start >= 0 && text.slice(cursor, start).trim() === '';
    ranges.set(row, found ? [start, start + row.form.length] : null);
    if (found) cursor = start + row.form.length;
  }
  const words = listed.map((row): TreeWord => {
    const range = ranges.get(inSpan(row) ?? row) ?? null;
    return { form: row.form, head: row.head - 1, relation: row.relation, range };
  });
  return { text, words };
}
