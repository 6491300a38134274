import { toHex } from './color.ts';
import { HAIRLINE, INK, MUTED, PAPER } from './scale.ts';
import type { Theme } from './scale.ts';
import { tokenStyles } from './tokens-html.ts';

/** The report's style sheet: system faces, one column, light and dark by the reader's preference. */
export function reportStyle(): string {
  return `:root{color-scheme:light dark;${variables('light')};--soft:#f6f6f4;--accent:#1f5fa8;--caution:#9a5b00}
@media (prefers-color-scheme:dark){:root{${variables('dark')};--soft:#1c1d21;--accent:#8dbdf2;--caution:#e5b567}}
${BASE}
${tokenStyles()}
${svgClasses()}`;
}

function variables(theme: Theme): string {
  return `--paper:${toHex(PAPER[theme])};--ink:${toHex(INK[theme])};--muted:${toHex(MUTED[theme])};--hairline:${toHex(HAIRLINE[theme])}`;
}

/** Inline SVGs carry light colours as attributes; in a page the page's own win. */
function svgClasses(): string {
  const names = ['ink', 'muted', 'hairline', 'paper'] as const;
  return names
    .flatMap((name) => [`.ox-${name}-fill{fill:var(--${name})}`, `.ox-${name}-stroke{stroke:var(--${name})}`])
    .join('\n');
}

/** Shows the other language: `lang` on the root decides, each translated element carries its own. */
export const REPORT_SCRIPT = `(() => {
  const root = document.documentElement;
  const buttons = [...document.querySelectorAll('[data-language]')];
  const show = (language) => {
    root.lang = language;
    for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.language === language));
    const key = language === 'en' ? 'en' : 'zh';
    for (const image of document.querySelectorAll('[data-alt-zh]')) image.alt = image.dataset[key === 'en' ? 'altEn' : 'altZh'];
    document.title = root.dataset[key === 'en' ? 'titleEn' : 'titleZh'];
  };
  for (const button of buttons) button.addEventListener('click', () => show(button.dataset.language));
  if (root.dataset.auto === '' && navigator.language.startsWith('zh')) show('zh-CN');
  else show(root.lang);
  document.querySelector('.languages').hidden = false;
})();`;

const BASE = `*,*::before,*::after{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0;background:var(--paper);color:var(--ink);font:400 1rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC","Noto Sans SC",sans-serif;overflow-wrap:break-word}
html[lang=en] .t-zh,html[lang|=zh] .t-en{display:none}
.strip{height:6px;background:linear-gradient(90deg,#3b7dc4,#a9c9ea 32%,var(--paper) 50%,#f3bd94 68%,#d0702c)}
.page{max-width:70rem;margin:0 auto;padding:clamp(1.5rem,5vw,4.5rem) clamp(1.25rem,4vw,3rem) 5rem}
.measure{max-width:40rem}
a{color:var(--accent);text-underline-offset:.18em;text-decoration-thickness:1px}
:focus-visible{outline:3px solid var(--accent);outline-offset:3px;border-radius:3px}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;background:var(--paper);padding:.5rem 1rem;z-index:1}
.top{display:flex;flex-wrap:wrap;justify-content:space-between;align-items:center;gap:.75rem;margin-bottom:clamp(2rem,6vw,4rem)}
.wordmark{font-weight:650;letter-spacing:-.01em;margin:0}
.languages{display:flex;gap:.25rem}.languages[hidden]{display:none}
.languages button{font:inherit;font-size:.875rem;color:var(--muted);background:none;border:1px solid transparent;border-radius:99px;padding:.3rem .8rem;min-height:2.25rem;cursor:pointer}
.languages button[aria-pressed=true]{color:var(--ink);border-color:var(--hairline)}
h1{font-size:clamp(1.9rem,5.2vw,3rem);line-height:1.12;letter-spacing:-.025em;font-weight:680;margin:0 0 1.1rem;text-wrap:balance;max-width:22ch}
header h2+.small{margin-top:.35rem}
h2{font-size:clamp(1.3rem,3vw,1.65rem);line-height:1.25;letter-spacing:-.015em;font-weight:650;margin:0;text-wrap:pretty}
h3{font-size:1.05rem;line-height:1.3;font-weight:650;margin:0}
h4,.eyebrow{font-size:.8125rem;line-height:1.4;font-weight:600;color:var(--muted);margin:0}
p{margin:0 0 .9em}.lede{font-size:1.125rem;line-height:1.55;color:var(--muted)}
.small{font-size:.875rem;line-height:1.55;color:var(--muted)}
.intro{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,19rem),1fr));gap:2rem 3rem;margin-top:2.5rem;padding-top:2rem;border-top:1px solid var(--hairline)}
.intro h2{font-size:1rem;letter-spacing:0;margin-bottom:.6rem}.intro ul,.intro ol{margin:0;padding:0;list-style:none}
.intro li{margin-bottom:.55rem}.intro p{font-size:.9375rem;line-height:1.55}
code{font:.92em/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;overflow-wrap:anywhere}
.input{margin-top:clamp(3.5rem,8vw,6rem);padding-top:1.25rem;border-top:2px solid var(--ink)}
.input>header{margin-bottom:1.75rem}.input .eyebrow{margin-bottom:.35rem}
.given{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1.75rem 3rem;align-items:start;margin-bottom:2.5rem}
.given h4{margin-bottom:.6rem}
blockquote{margin:0 0 .75rem;padding:0;white-space:pre-wrap;font-size:1rem;max-width:46rem}
details{margin-bottom:.75rem}summary{cursor:pointer;color:var(--accent);font-size:.9375rem;padding:.2rem 0}
.scroll{max-height:20rem;overflow:auto;border:1px solid var(--hairline);border-radius:6px;padding:.9rem 1.1rem;margin-top:.5rem;font-size:.9375rem}
.answers{margin:0;padding:0;list-style:none;max-width:26rem}
.answers li{display:grid;grid-template-columns:1fr auto;gap:.1rem 1rem;padding:.3rem 0;font-size:.9375rem}
.answers li:first-child{font-weight:650}.answers svg{grid-column:1/-1;width:100%;height:4px;display:block}
.number{font-variant-numeric:tabular-nums}
.methods{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,19rem),1fr));gap:3rem 2.75rem;grid-auto-rows:auto}
.one>.method>div:empty{display:none}
.methods.one{grid-template-columns:minmax(0,46rem)}
.method{display:grid;grid-template-rows:subgrid;grid-row:span 6;row-gap:1.1rem;align-content:start;min-width:0}
.method>header p{margin:.35rem 0 0}
figure{margin:0;min-width:0}figcaption{margin-top:.4rem}figure img{display:block;width:100%;height:auto;max-width:28rem;border-radius:4px;image-rendering:auto}
figure img.pixels{image-rendering:pixelated}
.legend svg,.bars svg{display:block;width:100%;height:auto;max-width:23rem}
.legend p{margin:.5rem 0 0;font-size:.8125rem;line-height:1.5;color:var(--muted)}
.verdict{margin:0 0 .6rem;font-weight:600;font-size:.9375rem;line-height:1.45}
dl{display:grid;grid-template-columns:1fr auto;max-width:23rem;gap:.15rem 1rem;margin:0;font-size:.875rem;line-height:1.5}
dt{color:var(--muted);min-width:0}dd{margin:0;text-align:right;font-variant-numeric:tabular-nums}
.cautions{border-left:3px solid var(--caution);padding:.1rem 0 .1rem .9rem;align-self:start}
.cautions h4{color:var(--caution)}.cautions ul{margin:.25rem 0 0;padding:0;list-style:none;font-size:.875rem;line-height:1.5}
.cautions li+li{margin-top:.4rem}
.colophon{margin-top:5rem;padding-top:1.25rem;border-top:1px solid var(--hairline);font-size:.8125rem;color:var(--muted)}
.colophon p{margin:0 0 .3rem}
@media print{.languages,.skip{display:none}.input{break-before:page}}`;
