/** The head view: tokens in two columns, lines for what attends to what, after BertViz (Vig 2019, https://arxiv.org/abs/1906.05714). */
import { toHex } from '../color.ts';
import { escapeMarkup, showControls } from '../escape.ts';
import { MARKS } from '../scale.ts';
import type { Theme } from '../scale.ts';
import { label, line, tone } from '../svg.ts';
import type { Drawing } from '../svg.ts';
import { ems, truncate } from '../width.ts';
import type { Matrix } from './matrix.ts';
import type { AttentionWords } from './words.ts';

/** Lines fainter than this are not drawn. */
const FAINT = 0.02;

/** Two columns of tokens and a line for each pair, as strong as the attention. */
export function headViewSvg(
  { rows, columns, data }: Matrix,
  queries: readonly string[],
  keys: readonly string[],
  { theme }: { readonly theme: Theme },
): Drawing {
  const [size, step] = [13, 20];
  const text = (token: string) => truncate(showControls(token), 12, ems);
  const side = Math.max(40, ...[...queries, ...keys].map((token) => ems(text(token)) * size)) + 10;
  const gap = 170;
  const height = Math.max(rows, columns) * step;
  const color = toHex(MARKS.unsigned);
  const parts: string[] = [];
  for (let query = 0; query < rows; query++)
    for (let key = 0; key < columns; key++) {
      const weight = data[query * columns + key]!;
      if (weight < FAINT) continue;
      const opacity = Math.min(1, weight).toFixed(2);
      parts.push(
        line(
          side,
          (query + 0.5) * step,
          side + gap,
          (key + 0.5) * step,
          `stroke="${color}" stroke-width="2" stroke-opacity="${opacity}"`,
        ),
      );
    }
  const ink = { size, attributes: tone('ink', theme) } as const;
  queries.forEach((token, at) =>
    parts.push(label(side - 6, (at + 0.5) * step + 4.5, text(token), { ...ink, anchor: 'end' })),
  );
  keys.forEach((token, at) => parts.push(label(side + gap + 6, (at + 0.5) * step + 4.5, text(token), ink)));
  return { width: 2 * side + gap, height, body: parts.join('') };
}

/** One block for the interactive view. */
export interface HeadViewBlock {
  readonly title: string;
  readonly queries: readonly string[];
  readonly keys: readonly string[];
  readonly heads: readonly { readonly title: string; readonly data: ArrayLike<number> }[];
}

/**
 * The interactive head view as a fragment: choose block and head, point at a token. Probabilities travel as bytes, 255 for 1.
 * Self-contained: its script uses no library, and all text goes in as text.
 */
export function headViewHtml(blocks: readonly HeadViewBlock[], words: AttentionWords): string {
  const data = blocks.map(({ title, queries, keys, heads }) => ({
    title,
    queries: queries.map(showControls),
    keys: keys.map(showControls),
    heads: heads.map((head) => ({ title: head.title, data: base64(head.data) })),
  }));
  // "<" must not end the script element.
  const json = JSON.stringify({ blocks: data, all: words.allHeads }).replaceAll('<', '\\u003c');
  return `<section class="head-view">
<p class="small">${escapeMarkup(words.hover)}</p>
<p class="controls"><label>${escapeMarkup(words.chooseLayer)} <select data-role="block"></select></label> <label>${escapeMarkup(words.chooseHead)} <select data-role="head"></select></label></p>
<div class="columns"><ol data-role="queries"></ol><svg data-role="lines" aria-hidden="true"></svg><ol data-role="keys"></ol></div>
<script type="application/json" data-role="data">${json}</script>
</section>`;
}

function base64(data: ArrayLike<number>): string {
  let binary = '';
  for (let at = 0; at < data.length; at++)
    binary += String.fromCharCode(Math.round(255 * Math.min(1, Math.max(0, data[at]!))));
  return btoa(binary);
}

export const HEAD_VIEW_STYLE = `.head-view .controls{display:flex;gap:1.5rem;flex-wrap:wrap}
.head-view select{font:inherit;padding:.2rem .4rem;background:var(--paper);color:var(--ink);border:1px solid var(--hairline);border-radius:4px}
.head-view .columns{display:grid;grid-template-columns:max-content minmax(7rem,14rem) max-content;position:relative;overflow-x:auto}
.head-view ol{list-style:none;margin:0;padding:0;font-size:.875rem}
.head-view li{height:1.5rem;line-height:1.5rem;padding:0 .5rem;white-space:pre;border-radius:3px;max-width:14rem;overflow:hidden;text-overflow:ellipsis;cursor:default}
.head-view ol:first-child li{text-align:right}
.head-view svg{width:100%;height:100%;display:block}
.head-view line{stroke:${toHex(MARKS.unsigned)};stroke-width:2}`;

export const HEAD_VIEW_SCRIPT = `for (const view of document.querySelectorAll('.head-view')) {
  const part = (role) => view.querySelector('[data-role=' + role + ']');
  const { blocks, all } = JSON.parse(part('data').textContent);
  const [blockSelect, headSelect, queries, keys, lines] = ['block', 'head', 'queries', 'keys', 'lines'].map(part);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const option = (select, text, value) => { const o = document.createElement('option'); o.textContent = text; o.value = value; select.append(o); };
  blocks.forEach(({ title }, at) => option(blockSelect, title, at));
  let weights = [], rows = 0, columns = 0, chosen = null;
  const items = (list, tokens, side) => {
    list.replaceChildren(...tokens.map((token, at) => {
      const item = document.createElement('li');
      item.textContent = token || '\\u00a0';
      item.tabIndex = 0;
      const on = () => { chosen = { side, at }; draw(); };
      const off = () => { chosen = null; draw(); };
      item.addEventListener('mouseenter', on); item.addEventListener('focus', on);
      item.addEventListener('mouseleave', off); item.addEventListener('blur', off);
      return item;
    }));
  };
  const draw = () => {
    const height = queries.firstElementChild ? queries.firstElementChild.getBoundingClientRect().height : 24;
    const width = lines.getBoundingClientRect().width || 200;
    lines.style.height = Math.max(rows, columns) * height + 'px';
    const drawn = [];
    const shade = (list, at, weight) => { list.children[at].style.background = weight === null ? '' : 'color-mix(in srgb, ${toHex(MARKS.unsigned)} ' + Math.round(weight * 70) + '%, transparent)'; };
    for (let q = 0; q < rows; q++) shade(queries, q, null);
    for (let k = 0; k < columns; k++) shade(keys, k, null);
    for (let q = 0; q < rows; q++) for (let k = 0; k < columns; k++) {
      const weight = weights[q * columns + k] / 255;
      if (chosen && (chosen.side === 'q' ? chosen.at !== q : chosen.at !== k)) continue;
      if (chosen) shade(chosen.side === 'q' ? keys : queries, chosen.side === 'q' ? k : q, weight);
      if (weight < (chosen ? 0.004 : ${FAINT})) continue;
      const line = document.createElementNS('http://www.w3.org/2000/svg', 'line');
      for (const [name, value] of [['x1', 0], ['x2', width], ['y1', (q + 0.5) * height], ['y2', (k + 0.5) * height], ['stroke-opacity', weight]]) line.setAttribute(name, value);
      drawn.push(line);
    }
    if (chosen) { const own = chosen.side === 'q' ? queries : keys; own.children[chosen.at].style.background = 'var(--hairline)'; }
    lines.replaceChildren(...drawn);
  };
  const pickHead = () => {
    const { heads } = blocks[blockSelect.value];
    if (headSelect.value === 'all') {
      const lists = heads.map(({ data }) => bytes(data));
      weights = lists[0].map ? Array.from(lists[0], (_, at) => lists.reduce((sum, list) => sum + list[at], 0) / lists.length) : [];
    } else weights = bytes(heads[headSelect.value].data);
    draw();
  };
  const pickBlock = () => {
    const block = blocks[blockSelect.value];
    rows = block.queries.length; columns = block.keys.length; chosen = null;
    items(queries, block.queries, 'q'); items(keys, block.keys, 'k');
    const before = headSelect.value;
    headSelect.replaceChildren();
    if (block.heads.length > 1) option(headSelect, all, 'all');
    block.heads.forEach(({ title }, at) => option(headSelect, title, at));
    if ([...headSelect.options].some(({ value }) => value === before)) headSelect.value = before;
    pickHead();
  };
  blockSelect.addEventListener('change', pickBlock);
  headSelect.addEventListener('change', pickHead);
  addEventListener('resize', draw);
  pickBlock();
}`;
