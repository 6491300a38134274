import path from 'node:path';
import { defineConfig } from 'vite';
import { doors } from './doors.config.ts';

/** The web components, one file for a page and one for notebooks. */
export default defineConfig({
  root: import.meta.dirname,
  publicDir: false,
  resolve: { alias: doors },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    outDir: path.resolve(import.meta.dirname, '../dist/elements'),
    emptyOutDir: true,
    reportCompressedSize: false,
    lib: {
      entry: { elements: 'src/elements/elements.ts', widget: 'src/elements/widget.ts' },
      formats: ['es'],
    },
  },
});
