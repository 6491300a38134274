import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { measure } from '../../bench/vision-memory.ts';

test.runIf(existsSync('/proc/self/status')).each([
  // Compiling, and the unmodified model that answers are compared with, are in what the process grows by.
  ['integrated-gradients', 'steps=2'],
  ['rise', 'n_masks=8'],
])(
  '%s of a picture of 1024 x 1024 stays within the memory budget, by batching',
  (method, ...options) => {
    const { grew, budget, passes } = measure(method, ...options);
    expect(passes).toBeGreaterThan(2);
    expect(grew).toBeLessThan(budget);
  },
  120_000,
);
