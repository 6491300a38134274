import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/setup.ts'],
    globalSetup: ['test/global-setup.ts'],
    // A machine that is busy with other work is several times as slow: what hangs still ends.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Two cores: onnxruntime has its own threads, so more workers only slow each other down.
    maxWorkers: 2,
    pool: 'forks',
    // Programs that earlier code compiled must not answer for today's.
    env: { XDG_CACHE_HOME: mkdtempSync(path.join(tmpdir(), 'onnxray-test-cache-')) },
  },
});
