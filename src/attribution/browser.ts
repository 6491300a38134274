/** attribution/ in a browser. */
export * from './core.ts';
export { ExplainableWebModel as ExplainableModel } from './explain-web.ts';
