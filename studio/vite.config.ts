import path from 'node:path';
import { defineConfig } from 'vite';
import { doors } from './doors.config.ts';

/** The page, into dist/studio of the package: relative addresses, so that it works under any path of a file server. */
export default defineConfig({
  root: import.meta.dirname,
  base: './',
  resolve: { alias: doors },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    outDir: path.resolve(import.meta.dirname, '../dist/studio'),
    emptyOutDir: true,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 4000,
    // A policy without inline content: everything is a file of its own.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
