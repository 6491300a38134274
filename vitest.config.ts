import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    // Two cores: onnxruntime has its own threads, so more workers only slow each other down.
    maxWorkers: 2,
    pool: 'forks',
  },
});
