import type { Explanation, ModelRef } from '../explanation/index.ts';
import { escapeMarkup } from './escape.ts';
import { LANGUAGE_TAGS, MESSAGES } from './messages.ts';
import type { Language } from './messages.ts';
import type { ImageView } from './image-drawing.ts';
import { encodePng } from './png.ts';
import type { PngEncoder } from './png.ts';
import type { Bilingual } from './report-markup.ts';
import { both } from './report-markup.ts';
import { sectionHtml, titleHtml } from './report-section.ts';
import type { ReportSection } from './report-section.ts';
import { REPORT_SCRIPT, reportStyle } from './report-style.ts';

export interface ReportModel extends ModelRef {
  /** What a person would call it; default: the file's name. */
  readonly name?: string | Bilingual;
  /** SPDX identifier or the licence's name. */
  readonly licence?: string;
}

export interface Report {
  /** Default: "Why the models answered as they did". */
  readonly title?: Bilingual;
  /** The paragraph below the title. */
  readonly lede?: Bilingual;
  /** The language shown first. Left out: English, or Chinese in a browser set to Chinese. */
  readonly language?: Language;
  readonly models: readonly ReportModel[];
  readonly sections: readonly ReportSection[];
  /** Printed as given. Left out, the same explanations always give the same bytes. */
  readonly date?: string;
  /** The command that made the report, to repeat it. */
  readonly command?: string;
  /** Default: `encodePng`. */
  readonly encodePng?: PngEncoder;
  /** How scores are drawn over pictures. Default `overlay`. */
  readonly view?: ImageView;
  /** Longer side of pictures in pixels; they are never enlarged. Default 448. */
  readonly side?: number;
}

/**
 * One self-contained HTML document: its pictures, style and script are inside, it asks the network for nothing, and its
 * Content-Security-Policy allows nothing else. Both languages are in it; without script the first one shows.
 */
export async function renderReport(report: Report): Promise<string> {
  const language = report.language ?? 'en';
  const title = report.title ?? { en: MESSAGES.en.reportTitle, zh: MESSAGES.zh.reportTitle };
  const page = {
    language,
    encodePng: report.encodePng ?? encodePng,
    view: report.view ?? 'overlay',
    side: report.side ?? 448,
  };
  const sections: string[] = [];
  for (const [i, section] of report.sections.entries()) sections.push(await sectionHtml(section, i + 1, page));
  const style = reportStyle();
  const policy = `default-src 'none'; img-src data:; style-src '${await hash(style)}'; script-src '${await hash(REPORT_SCRIPT)}'; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="${LANGUAGE_TAGS[language]}" data-title-en="${escapeMarkup(title.en)}" data-title-zh="${escapeMarkup(title.zh)}"${report.language === undefined ? ' data-auto=""' : ''}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="generator" content="onnxray">
<title>${escapeMarkup(title[language])}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<a class="skip" href="#input-1">${both((words) => words.skipToContent)}</a>
<div class="strip"></div>
<div class="page">
<div class="top"><p class="wordmark">onnxray</p>
<div class="languages" role="group" aria-label="${MESSAGES.en.languageSwitch} / ${MESSAGES.zh.languageSwitch}" hidden>
<button type="button" data-language="en" lang="en" aria-pressed="${language === 'en'}">English</button>
<button type="button" data-language="zh-CN" lang="zh-CN" aria-pressed="${language === 'zh'}">中文</button>
</div></div>
<header>
<h1>${both((_, language) => title[language])}</h1>
<p class="lede measure">${both((words, language) => report.lede?.[language] ?? words.reportLede)}</p>
<div class="intro">
<div><h2>${both((words) => words.howToRead)}</h2><p>${both((words) => words.readColours)}</p><p>${both((words) => words.readTrust)}</p></div>
<div><h2>${both((words) => words.models)}</h2><ul>${report.models.map(modelHtml).join('')}</ul></div>
${report.sections.length > 1 ? `<nav aria-labelledby="contents"><h2 id="contents">${both((words) => words.otherInputs)}</h2><ol>${report.sections.map((section, i) => `<li><a href="#input-${i + 1}">${titleHtml(section.title)}</a></li>`).join('')}</ol></nav>` : ''}
</div>
</header>
<main>
${sections.join('\n')}
</main>
${colophon(report)}
</div>
<script>${REPORT_SCRIPT}</script>
</body>
</html>
`;
}

function modelHtml(model: ReportModel): string {
  const file = model.path.split(/[/\\]/).at(-1) ?? model.path;
  const name = model.name === undefined ? `<code>${escapeMarkup(file)}</code>` : titleHtml(model.name);
  const licence =
    model.licence === undefined ? '' : `<br>${both((words) => words.licence)} ${escapeMarkup(model.licence)}`;
  return `<li>${name}<br><span class="small">SHA-256 <code title="${escapeMarkup(model.sha256)}">${escapeMarkup(model.sha256.slice(0, 12))}…</code>${licence}</span></li>`;
}

function colophon({ sections, date, command }: Report): string {
  const lines = [
    ...computedWith(sections.flatMap(({ explanations }) => explanations)),
    ...(command === undefined ? [] : [`${both((words) => words.command)} <code>${escapeMarkup(command)}</code>`]),
    ...(date === undefined ? [] : [both((words) => words.made(date))]),
  ];
  return lines.length === 0
    ? ''
    : `<footer class="colophon">${lines.map((line) => `<p>${line}</p>`).join('')}</footer>`;
}

function computedWith(explanations: readonly Explanation[]): string[] {
  const runs = explanations.map(({ runtime }) => {
    const versions = Object.entries(runtime.versions).map(([name, version]) => `${name} ${version}`);
    const what = escapeMarkup([...versions, runtime.provider].join(', '));
    return `${both((words) => words.computedWith)} ${what}, ${both((words) => words.threads(runtime.threads))}`;
  });
  return [...new Set(runs)];
}

/** A source expression for Content-Security-Policy: `sha256-...`. */
async function hash(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return `sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}`;
}
