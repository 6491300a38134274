/** views/ in a browser. */
export * from './core.ts';
export { renderExplanation, svgToPng } from './svg-to-png-web.ts';
