/** A drawing of the page as a document of its own. */

/** What the page's style sheet says of a drawing, to be said in the document itself. */
const STYLES = [
  'fill',
  'fill-opacity',
  'stroke',
  'stroke-width',
  'stroke-opacity',
  'opacity',
  'font-family',
  'font-size',
  'font-weight',
] as const;
/** Of the page, not of a document. */
const PAGE_ONLY = ['class', 'style', 'role', 'tabindex', 'aria-label', 'aria-pressed'] as const;

/** The drawing as it looks now, on the page's paper, in an SVG document that needs no style sheet. */
export function standaloneSvg(drawing: SVGSVGElement, title: string): string {
  const copy = drawing.cloneNode(true) as SVGSVGElement;
  const [shown, copied] = [
    [drawing, ...drawing.querySelectorAll('*')],
    [copy, ...copy.querySelectorAll('*')],
  ];
  copied.forEach((element, at) => {
    for (const name of PAGE_ONLY) element.removeAttribute(name);
    if (element.tagName === 'title') return;
    const style = getComputedStyle(shown[at]!);
    for (const name of STYLES) element.setAttribute(name, style.getPropertyValue(name));
  });
  const { width, height } = drawing.viewBox.baseVal;
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.setAttribute('width', String(width));
  copy.setAttribute('height', String(height));
  copy.setAttribute('role', 'img');
  const named = document.createElementNS('http://www.w3.org/2000/svg', 'title');
  named.textContent = title;
  const paper = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  paper.setAttribute('width', '100%');
  paper.setAttribute('height', '100%');
  paper.setAttribute('fill', getComputedStyle(document.documentElement).getPropertyValue('--paper').trim());
  copy.prepend(named, paper);
  return new XMLSerializer().serializeToString(copy);
}
