/** views/ in a browser. */
export * from './core.ts';
export { renderAttention, renderExplanation, svgToPng } from './svg-to-png-web.ts';
