import path from 'node:path';
import { defineConfig } from 'vite';
import { doors } from './doors.config.ts';

/** The web components, each form one file: `--mode elements` for a page, `--mode widget` for notebooks. */
export default defineConfig(({ mode }) => ({
  root: import.meta.dirname,
  publicDir: false,
  resolve: { alias: doors },
  define: { 'process.env.NODE_ENV': '"production"' },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    outDir: path.resolve(import.meta.dirname, '../dist/elements'),
    emptyOutDir: mode === 'elements',
    reportCompressedSize: false,
    lib: {
      entry: mode === 'widget' ? 'src/elements/widget.ts' : 'src/elements/elements.tsx',
      fileName: mode,
      formats: ['es'],
    },
    rolldownOptions: { output: { minify: true } },
  },
}));
