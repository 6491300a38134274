/** Pictures and data to files, made in the page. */
import { interventionHtml, interventionSvg, renderAttention, renderExplanation, svgToPng } from 'onnxray/views';
import type { Language, RgbPicture, Theme } from 'onnxray/views';
import { serializeExplanation } from 'onnxray/explanation';
import { serializeAttention, serializeIntervention } from 'onnxray/results';
import type { AttentionResult, Control, Explanation, Intervention } from '../engine/engine.ts';

export const EXPORTS = ['SVG', 'PNG', 'JSON', 'HTML'] as const;
export type ExportKind = (typeof EXPORTS)[number];

/** What can be exported: each kind gives a file's content; what has to be computed for it can be stopped. */
export type Exporter = (kind: ExportKind, control: Control) => Promise<string | Uint8Array>;

const TYPES: Readonly<Record<ExportKind, string>> = {
  SVG: 'image/svg+xml',
  PNG: 'image/png',
  JSON: 'application/json',
  HTML: 'text/html',
};

export async function save(name: string, kind: ExportKind, exporter: Exporter, control: Control): Promise<void> {
  const content = await exporter(kind, control);
  const blob = new Blob([content as BlobPart], { type: TYPES[kind] });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${name.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-').slice(0, 80)}.${kind.toLowerCase()}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export interface DrawnLook {
  readonly language: Language;
  readonly theme: Theme;
}

/** An explanation by the library's own views. */
export function explanationExporter(
  explanation: Explanation,
  options: { readonly language: Language; readonly theme: Theme; readonly picture?: RgbPicture | undefined },
): Exporter {
  const { language, theme, picture } = options;
  const given = { language, theme, ...(picture === undefined ? {} : { picture }) };
  return (kind) => {
    if (kind === 'JSON') return Promise.resolve(`${serializeExplanation(explanation)}\n`);
    if (kind === 'SVG') return renderExplanation(explanation, { format: 'svg', ...given });
    if (kind === 'PNG') return renderExplanation(explanation, { format: 'png', ...given });
    return renderExplanation(explanation, { format: 'html', ...given });
  };
}

/** An analysis of attention by the library's own views; `ask` computes it. */
export function attentionExporter(ask: (control: Control) => Promise<AttentionResult>, look: DrawnLook): Exporter {
  return async (kind, control) => {
    const result = await ask(control);
    if (kind === 'JSON') return `${serializeAttention(result)}\n`;
    const format = kind === 'SVG' ? 'svg' : kind === 'PNG' ? 'png' : 'html';
    return renderAttention(result, { format, ...look });
  };
}

/** An intervention by the library's own views. */
export function interventionExporter(result: Intervention, look: DrawnLook): Exporter {
  return (kind) => {
    if (kind === 'JSON') return Promise.resolve(`${serializeIntervention(result)}\n`);
    if (kind === 'HTML') return Promise.resolve(interventionHtml(result, look));
    const svg = interventionSvg(result, look);
    return kind === 'SVG' ? Promise.resolve(svg) : svgToPng(svg);
  };
}

/** A drawing on canvases, as PNG, inside an SVG, or inside a page; `data` is what JSON holds. */
export function canvasExporter(title: string, draw: () => HTMLCanvasElement, data: () => unknown): Exporter {
  return async (kind) => {
    if (kind === 'JSON') return `${JSON.stringify(data())}\n`;
    const canvas = draw();
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
    if (blob === null) throw new Error('the picture is too large for this browser');
    if (kind === 'PNG') return new Uint8Array(await blob.arrayBuffer());
    const uri = canvas.toDataURL('image/png');
    const size = `width="${canvas.width}" height="${canvas.height}"`;
    const label = escapeText(title);
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" ${size} viewBox="0 0 ${canvas.width} ${canvas.height}" role="img" aria-label="${label}"><title>${label}</title><image ${size} href="${uri}"/></svg>`;
    if (kind === 'SVG') return svg;
    return pageOf(title, svg, data());
  };
}

/** A drawing as an SVG document; `data` is what JSON holds. */
export function svgExporter(title: string, draw: () => string, data: () => unknown): Exporter {
  return (kind) => {
    if (kind === 'JSON') return Promise.resolve(`${JSON.stringify(data())}\n`);
    const svg = draw();
    if (kind === 'PNG') return svgToPng(svg);
    return Promise.resolve(kind === 'SVG' ? svg : pageOf(title, svg, data()));
  };
}

/** A page that needs no other file, with the numbers in it. */
function pageOf(title: string, svg: string, data: unknown): string {
  const label = escapeText(title);
  const json = JSON.stringify(data).replaceAll('<', '\\u003c');
  const lang = document.documentElement.lang;
  return `<!doctype html><html lang="${lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${label}</title><style>body{font:16px/1.5 system-ui;margin:2rem;max-width:80rem}svg{max-width:100%;height:auto}</style></head><body><h1>${label}</h1>${svg}<script type="application/json" id="data">${json}</script></body></html>`;
}

function escapeText(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
