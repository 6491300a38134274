/** The package as scripts that a plain page loads, without a bundler of its own: `npm run build:browser`. */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.resolve(import.meta.dirname, '..');
export const ORT_FOLDER = path.join(root, 'node_modules/onnxruntime-web/dist');
/** onnxruntime-web's own files: WASM, and WASM with WebGPU. */
const ORT_FILES = ['ort-wasm-simd-threaded', 'ort-wasm-simd-threaded.asyncify'].flatMap((name) => [
  `${name}.mjs`,
  `${name}.wasm`,
]);

/**
 * Writes onnxray.js, web-worker.js and the parts they share. They look for each other, and for onnxruntime-web's files,
 * in their own folder.
 * @param more other scripts, by the name they get.
 */
export async function bundleForBrowser(folder: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: { onnxray: 'src/browser.ts', 'web-worker': 'src/runtime/web-worker.ts', ...more },
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    outdir: folder,
    logLevel: 'error',
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = path.join(root, 'dist/bundle');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await bundleForBrowser(folder);
  for (const file of ORT_FILES) copyFileSync(path.join(ORT_FOLDER, file), path.join(folder, file));
  console.log(
    `${path.relative(process.cwd(), folder)}: onnxray.js, web-worker.js, their parts, and onnxruntime-web's files`,
  );
}
