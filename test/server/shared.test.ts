/** Two pages that ask the same of the same model: what one does is nothing to the other. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startStudio } from '../../src/server/index.ts';
import type { RunningStudio } from '../../src/server/index.ts';

let studio: RunningStudio;
beforeAll(async () => {
  studio = await startStudio({ port: 0, runtime: { threads: 1 } });
});
afterAll(() => studio.close());

function explain(signal?: AbortSignal): Promise<Response> {
  return fetch(`${studio.url}api/models/text-spam/explain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      subject: { text: 'Claim your free prize now, and answer to this mail before Monday' },
      method: 'integrated-gradients',
      options: { steps: 200 },
    }),
    ...(signal === undefined ? {} : { signal }),
  });
}

it('a port that is taken is said in one line, with what to do', async () => {
  await expect(startStudio({ port: studio.port })).rejects.toThrow(
    `cannot listen on 127.0.0.1: port ${studio.port} is in use, give another or none`,
  );
});

it('a page that hangs up does not fail the job of another', { timeout: 120_000 }, async () => {
  const controller = new AbortController();
  const first = explain().then((response) => response.text());
  const second = await explain(controller.signal);
  // In the midst of both, as its first word of progress tells.
  const reader = second.body!.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toContain('event: progress');
  controller.abort();
  await expect(reader.read()).rejects.toThrow(/abort/i);
  const text = await first;
  expect(text).toContain('event: result');
  expect(text).not.toContain('event: failure');
});
