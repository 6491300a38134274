/** tasks/ in a browser: models come with their files from a person's hands, or from an address. */
export * from './core.ts';
export { fetchModelFiles, folderOf, sortModelFiles } from './files-web.ts';
export type { ModelFiles } from './files-web.ts';
