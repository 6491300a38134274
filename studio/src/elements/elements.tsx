/**
 * Web components for any page: <onnxray-text>, <onnxray-attention>, <onnxray-image>, fed with the JSON that the library and
 * the command line give.
 *
 *     <script type="module" src="elements.js"></script>
 *     <onnxray-text src="explanation.json"></onnxray-text>
 *     <onnxray-image src="explanation.json" picture="cat.jpg"></onnxray-image>
 *     <onnxray-attention><script type="application/json">{ "tokens": [...], "blocks": [...] }</script></onnxray-attention>
 *
 * Data comes by the property `data` (an object or JSON text), by the address in `src`, or as JSON in a script element inside.
 * `lang="zh"` and `theme="dark"` choose; unless given, the page's language and the reader's preference do.
 */
import { render } from 'preact';
import type { ComponentChild } from 'preact';
import { levelStyles } from 'onnxray/views';
import type { Language, Theme } from 'onnxray/views';
import { LookContext } from '../frame/context.ts';
import { ErrorText } from '../frame/error-text.tsx';
import style from '../style.css?inline';
import { AttentionFigure, readAttention } from './attention-figure.tsx';
import { ImageFigure } from './image-figure.tsx';
import { TextFigure, readExplanation } from './text-figure.tsx';

/** The studio's style, for a shadow root. */
const shared = style
  .replaceAll(/:root\[data-theme=["']?dark["']?\]/g, ':host([data-theme=dark])')
  .replaceAll(':root', ':host');
const OWN =
  ':host{display:block;background:none;color:var(--ink);font:400 0.9375rem/1.55 system-ui,sans-serif;max-width:100%}';

export interface FigureLook {
  readonly language: Language;
  readonly theme: Theme;
}

abstract class OnnxrayElement extends HTMLElement {
  static observedAttributes = ['src', 'picture', 'theme', 'lang'];
  #data: unknown;
  #asked = '';

  get data(): unknown {
    return this.#data;
  }

  set data(value: unknown) {
    this.#data = typeof value === 'string' ? JSON.parse(value) : value;
    this.#draw();
  }

  connectedCallback(): void {
    if (this.#data === undefined) {
      const inside = this.querySelector('script[type="application/json"]')?.textContent;
      if (inside) this.#data = JSON.parse(inside);
    }
    void this.#load();
    this.#draw();
  }

  attributeChangedCallback(): void {
    if (!this.isConnected) return;
    void this.#load();
    this.#draw();
  }

  protected abstract figure(data: unknown, look: FigureLook): ComponentChild;

  async #load(): Promise<void> {
    const address = this.getAttribute('src');
    if (address === null || address === this.#asked) return;
    this.#asked = address;
    const response = await fetch(address);
    if (response.ok) this.data = await response.json();
    else this.#show(<p role="alert">{`${address}: ${response.status}`}</p>, this.#look());
  }

  #look(): FigureLook {
    const language = (this.getAttribute('lang') ?? (document.documentElement.lang || navigator.language)).toLowerCase();
    const dark = this.getAttribute('theme') ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
    return { language: language.startsWith('zh') ? 'zh' : 'en', theme: dark === 'dark' ? 'dark' : 'light' };
  }

  #draw(): void {
    if (this.#data === undefined || !this.isConnected) return;
    const look = this.#look();
    let content: ComponentChild;
    try {
      content = this.figure(this.#data, look);
    } catch (error) {
      content = (
        <p role="alert">
          <ErrorText error={error instanceof Error ? error.message : String(error)} />
        </p>
      );
    }
    this.#show(content, look);
  }

  #show(content: ComponentChild, look: FigureLook): void {
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    this.dataset['theme'] = look.theme;
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`${shared}${OWN}${levelStyles(look.theme)}`);
    root.adoptedStyleSheets = [sheet];
    render(<LookContext.Provider value={look}>{content}</LookContext.Provider>, root);
  }
}

export class OnnxrayText extends OnnxrayElement {
  protected override figure(data: unknown): ComponentChild {
    return <TextFigure explanation={readExplanation(data)} />;
  }
}

export class OnnxrayImage extends OnnxrayElement {
  protected override figure(data: unknown): ComponentChild {
    return <ImageFigure explanation={readExplanation(data)} picture={this.getAttribute('picture') ?? undefined} />;
  }
}

export class OnnxrayAttention extends OnnxrayElement {
  protected override figure(data: unknown, { theme }: FigureLook): ComponentChild {
    return <AttentionFigure attention={readAttention(data)} theme={theme} />;
  }
}

/** Defines the elements once, however often the script is loaded. */
export function define(): void {
  for (const [name, element] of [
    ['onnxray-text', OnnxrayText],
    ['onnxray-image', OnnxrayImage],
    ['onnxray-attention', OnnxrayAttention],
  ] as const)
    if (customElements.get(name) === undefined) customElements.define(name, element);
}

define();
