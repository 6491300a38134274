import type { Explanation } from '../explanation/index.ts';
import { barsOf, barsSvg } from './bars.ts';
import { escapeMarkup } from './escape.ts';
import { captionOf, subjectOf } from './figure.ts';
import type { Subject } from './figure.ts';
import { drawImages } from './image-drawing.ts';
import type { ImageView } from './image-drawing.ts';
import type { RgbPicture } from './image-overlay.ts';
import { fitPicture, originalImage, scaledCrop } from './image-overlay.ts';
import { cautions, completenessSentence, factsOf, predictionValues } from './judgement.ts';
import { heatMapDrawing } from './heat-map.ts';
import { legendSvg } from './legend.ts';
import { MESSAGES } from './messages.ts';
import type { Language } from './messages.ts';
import { methodFacts } from './method.ts';
import { dataUri } from './png.ts';
import type { PngEncoder } from './png.ts';
import type { Bilingual } from './report-markup.ts';
import { both, drawBoth, image, inBoth } from './report-markup.ts';
import type { Ramp, Scale } from './scale.ts';
import { sidesOf } from './sides.ts';
import { svgDocument } from './svg.ts';
import { tokensHtml } from './tokens-html.ts';
import { warningText } from './warnings.ts';
import { beginning, isRightToLeft } from './width.ts';

/** One input and the explanations of the model's answer to it, by several methods. */
export interface ReportSection {
  /** What a person would call the input: a file name, the subject of an e-mail. */
  readonly title: string | Bilingual;
  /** One sentence about why it is here; optional. */
  readonly note?: Bilingual;
  /** At least one; all of the same input. */
  readonly explanations: readonly Explanation[];
  /** The given picture, for images. */
  readonly picture?: RgbPicture;
}

interface Page {
  readonly language: Language;
  readonly encodePng: PngEncoder;
  readonly view: ImageView;
  readonly side: number;
}

/** Width of the drawings in user units: a column of the page, or a phone. */
const COLUMN = 312;
/** A text longer than this many code units is folded away above its coloured form. */
const LONG = 320;
const ANSWERS = 5;

export function titleHtml(title: ReportSection['title']): string {
  return typeof title === 'string'
    ? `<bdi>${escapeMarkup(shorten(title))}</bdi>`
    : both((_, language) => title[language]);
}

function shorten(title: string): string {
  return beginning(title.trim().split('\n')[0] ?? '', 90);
}

export async function sectionHtml(section: ReportSection, number: number, page: Page): Promise<string> {
  const methods: string[] = [];
  for (const explanation of section.explanations) methods.push(await methodHtml(explanation, section, page));
  const note = section.note;
  return `<section class="input" id="input-${number}" aria-labelledby="input-${number}-title">
<header>
<p class="eyebrow">${both((words) => `${words.input} ${number}`)}</p>
<h2 id="input-${number}-title">${titleHtml(section.title)}</h2>
${note === undefined ? '' : `<p class="measure small">${both((_, language) => note[language])}</p>`}
</header>
<div class="given">
${await givenHtml(section, page)}
${answersHtml(section.explanations[0])}
</div>
<div class="methods${methods.length === 1 ? ' one' : ''}">
${methods.join('\n')}
</div>
</section>`;
}

async function givenHtml(section: ReportSection, page: Page): Promise<string> {
  const first = section.explanations[0];
  const head = `<h4>${both((words) => words.input)}</h4>`;
  if (first?.text !== undefined) {
    const texts = first.text.texts.map((text) => {
      const dir = isRightToLeft(text) ? 'rtl' : 'ltr';
      if (text.length <= LONG) return `<blockquote dir="${dir}">${escapeMarkup(text)}</blockquote>`;
      const start = `<blockquote dir="${dir}">${escapeMarkup(beginning(text, LONG - 60))}</blockquote>`;
      const whole = `<blockquote class="scroll" dir="${dir}" tabindex="0">${escapeMarkup(text)}</blockquote>`;
      return `${start}<details><summary>${both((words) => words.wholeText(text.length))}</summary>${whole}</details>`;
    });
    const compared = await pictureHtml(section, '', page);
    return `<div>${head}${texts.join('\n')}${compared}</div>`;
  }
  return pictureHtml(section, head, page);
}

async function pictureHtml(section: ReportSection, head: string, { language, encodePng, side }: Page): Promise<string> {
  const first = section.explanations[0];
  if (section.picture === undefined || first?.image === undefined) return '';
  const picture = fitPicture(section.picture, Math.max(480, side));
  const crop = scaledCrop(first.image, picture);
  const { width, height } = first.image.crop;
  const whole = width >= first.image.width && height >= first.image.height;
  const name = typeof section.title === 'string' ? section.title : section.title[language];
  const drawn = originalImage(picture, crop);
  return `<figure>${head}${image(dataUri(await encodePng(drawn)), drawn, (words) => words.altOriginal(name), language)}
<figcaption class="small">${first.image.width} × ${first.image.height} px${whole ? '' : `. ${both((words) => words.modelRead)}`}</figcaption></figure>`;
}

function answersHtml(explanation: Explanation | undefined): string {
  if (explanation?.predictions === undefined || explanation.predictions.length === 0) return '';
  const { probabilities, rows } = predictionValues(explanation);
  const items = rows.slice(0, ANSWERS).map(({ label, value, text }) => {
    const bar = probabilities
      ? `<svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect width="100" height="4" class="ox-hairline-fill"/><rect width="${(value * 100).toFixed(2)}" height="4" class="ox-ink-fill"/></svg>`
      : '';
    return `<li><bdi>${escapeMarkup(label)}</bdi><span class="number">${escapeMarkup(text)}</span>${bar}</li>`;
  });
  return `<div><h4>${both((words) => words.answers)}</h4><ol class="answers">${items.join('\n')}</ol></div>`;
}

/** Six rows, so that the same things stand beside each other across methods. */
async function methodHtml(explanation: Explanation, section: ReportSection, page: Page): Promise<string> {
  const [main, ...others] = sidesOf(explanation).map((side) => ({
    side,
    subject: subjectOf(side, section.picture && { picture: section.picture }),
  }));
  const { side, subject } = main!;
  const { name } = methodFacts(explanation);
  const target = explanation.target.label;
  const view = await viewHtml(side, subject, page);
  // The words of a text that the picture is compared with.
  const more: string[] = [];
  for (const other of others)
    more.push((await viewHtml(other.side, other.subject, page)).first, legendHtml(other.side, other.subject));
  const bars =
    subject.kind === 'image'
      ? view.second
      : `<div class="bars">${drawBoth(
          (words) => words.altBars(explanation.method, target),
          (language) =>
            barsSvg(explanation, barsOf(explanation, { top: 10 }), { width: COLUMN, theme: 'light', language }),
        )}</div>`;
  return `<article class="method">
<header><h3>${escapeMarkup(explanation.method)}</h3><p class="small">${name === undefined ? '' : both((words) => words.methods[name])}</p></header>
${view.first}
${`${legendHtml(side, subject)}${more.join('')}`}
${bars}
${numbersHtml(explanation)}
${cautionsHtml(explanation)}
</article>`;
}

async function viewHtml(
  explanation: Explanation,
  subject: Subject,
  { language, encodePng, view, side }: Page,
): Promise<{ readonly first: string; readonly second: string }> {
  if (subject.kind === 'text') return { first: `<div>${tokensHtml(explanation, subject.scale)}</div>`, second: '' };
  if (subject.kind === 'features') return { first: '<div></div>', second: '' };
  if (subject.kind === 'matrix') {
    const drawing = await heatMapDrawing(subject.map, MESSAGES[language], { theme: 'light', encodePng, width: COLUMN });
    const title = `${explanation.method}: ${explanation.target.label}`;
    return {
      first: `<figure>${svgDocument(drawing, { theme: 'light', title, transparent: true })}</figure>`,
      second: '',
    };
  }
  const { overlay, heat } = drawImages(explanation, subject, side, 160, view);
  const figure = async (drawn: typeof heat, caption: ImageView | 'heatMap'): Promise<string> => {
    const img = image(
      dataUri(await encodePng(drawn)),
      drawn,
      (words) => words.altOverlay(explanation.method, explanation.target.label),
      language,
      caption === 'heatMap' ? 'pixels' : undefined,
    );
    return `<figure>${img}<figcaption class="small">${both((words) => (caption === 'heatMap' ? words.heatMap : words.views[caption]))}</figcaption></figure>`;
  };
  const alone = await figure(heat, 'heatMap');
  return overlay === undefined
    ? { first: alone, second: '<div></div>' }
    : { first: await figure(overlay, view), second: alone };
}

function legendHtml(explanation: Explanation, subject: Subject): string {
  if (subject.kind === 'features' || subject.kind === 'matrix') return '<div></div>';
  const scale: Scale = subject.kind === 'text' ? subject.scale : subject.scores.scale;
  const ramp: Ramp = subject.kind === 'text' ? 'cells' : subject.picture === undefined ? 'heat' : 'overlay';
  const bar = drawBoth(
    (words) => words.score,
    (language) => legendSvg(explanation, scale, { width: COLUMN, theme: 'light', language, ramp }),
  );
  return `<div class="legend">${bar}<p>${inBoth('span', (language) => escapeMarkup(captionOf(explanation, subject, language).join(language === 'en' ? ' ' : '')))}</p></div>`;
}

function numbersHtml(explanation: Explanation): string {
  const facts = inBoth(
    'div',
    (language) =>
      `<dl>${factsOf(explanation, language)
        .map(({ name, value }) => `<dt>${escapeMarkup(name)}</dt><dd>${escapeMarkup(value)}</dd>`)
        .join('')}</dl>`,
  );
  return `<div><p class="verdict">${both((_, language) => completenessSentence(explanation, language))}</p>${facts}</div>`;
}

function cautionsHtml(explanation: Explanation): string {
  const own = inBoth('div', (language) => {
    const items = [
      ...cautions(explanation, language).map((text) => `<li>${escapeMarkup(text)}</li>`),
      ...explanation.warnings.map((warning) => {
        const said = warningText(warning, language);
        return `<li${said.language === language ? '' : ` lang="${said.language}"`}>${escapeMarkup(said.text)}</li>`;
      }),
    ];
    return `<ul>${items.join('')}</ul>`;
  });
  if (cautions(explanation, 'en').length + explanation.warnings.length === 0) return '<div></div>';
  return `<aside class="cautions"><h4>${both((words) => words.warnings)}</h4>${own}</aside>`;
}
