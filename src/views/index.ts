/**
 * views/: explanations as something to look at.
 *
 * Takes an `Explanation`, returns a string (terminal, SVG, HTML) or pixels (RGBA, PNG); never computes a score.
 * Colours come from one scale centred at zero (`scale.ts`), words from one table per language (`messages.ts`), and all
 * text of models and files goes through `escape.ts`. `core.ts` runs anywhere; this door adds SVG to PNG in Node, and
 * `browser.ts` the same in a browser.
 */
export * from './core.ts';
export { renderExplanation, svgToPng } from './svg-to-png.ts';
