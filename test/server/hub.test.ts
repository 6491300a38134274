/** Models fetched by the server: only by name, only from the hub it was started with, within its limits. */
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStudio } from '../../src/server/index.ts';
import type { RunningStudio } from '../../src/server/index.ts';
import { SPAM, spamRepository, startHub } from '../fake-hub.ts';
import type { FakeHub } from '../fake-hub.ts';

let folder: string;
let hub: FakeHub;
let studio: RunningStudio;
beforeAll(async () => {
  // A place of its own, so that what other tests keep for a while is not taken for what is left behind here.
  folder = await mkdtemp(path.join(tmpdir(), 'onnxray-test-hub-'));
  process.env['TMPDIR'] = folder;
  hub = await startHub({
    [SPAM]: spamRepository(),
    'too/large': { 'model.onnx': new Uint8Array(50_000_000) },
    'no/model': { 'model.onnx': 'not a model' },
  });
  studio = await startStudio({ port: 0, hub: hub.address, limits: { modelBytes: 40_000_000 } });
});
afterAll(async () => {
  await studio.close();
  hub.close();
  await rm(folder, { recursive: true, force: true });
});

interface Told {
  readonly status: number;
  readonly event: string | undefined;
  readonly data: { readonly error?: string; readonly name?: string; readonly origin?: string; readonly task?: string };
}

async function fetchModel(name: unknown, { url }: RunningStudio = studio, signal?: AbortSignal): Promise<Told> {
  const response = await fetch(`${url}api/hub`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: url.slice(0, -1) },
    body: JSON.stringify({ name }),
    ...(signal === undefined ? {} : { signal }),
  });
  const text = await response.text();
  const event = /event: (result|failure)\ndata: (.*)\n/.exec(text);
  return { status: response.status, event: event?.[1], data: JSON.parse(event?.[2] ?? text) as Told['data'] };
}

/** What the studios of this test keep on the disk, as names. */
const stored = (): string[] =>
  readdirSync(folder)
    .filter((name) => name.startsWith('onnxray-studio-'))
    .flatMap((name) => readdirSync(path.join(folder, name)));

describe('the studio’s server', () => {
  it('fetches a model by its name, opens it, and lists it', { timeout: 60_000 }, async () => {
    const { event, data } = await fetchModel(SPAM);
    expect(event).toBe('result');
    expect(data).toMatchObject({ name: SPAM, origin: 'hub', task: 'text-classification' });
    const listed = (await (await fetch(`${studio.url}api/studio`)).json()) as { hub: string; models: object[] };
    expect(listed.hub).toBe(hub.address);
    expect(listed.models).toContainEqual(data);
  });

  it.each(['../../etc/passwd', 'http://169.254.169.254/latest', 'a/b/../c', '<img src=x>', ''])(
    'refuses %j, and asks nobody',
    async (name) => {
      const before = hub.asked.length;
      const { event, data } = await fetchModel(name);
      expect(event).toBe('failure');
      expect(data.error).toContain('that is no name on the hub');
      expect(hub.asked.length).toBe(before);
    },
  );

  it('refuses what is no text, and a request that names a hub of its own is not heard', async () => {
    expect((await fetchModel(3)).status).toBe(400);
    const before = hub.asked.length;
    await fetch(`${studio.url}api/hub`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'not/there', hub: 'http://127.0.0.1:1' }),
    }).then((response) => response.text());
    expect(hub.asked.length).toBe(before + 1);
  });

  it('is not asked by another origin’s page', async () => {
    const response = await fetch(`${studio.url}api/hub`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: 'http://evil.example' },
      body: JSON.stringify({ name: SPAM }),
    });
    expect(response.status).toBe(403);
  });

  it('refuses what is too large, whether the hub says so or not, and leaves nothing behind', async () => {
    const kept = stored();
    const { data } = await fetchModel('too/large');
    expect(data.error).toContain('may have 40 MB');
    expect(hub.asked.some(({ line }) => line.includes('/too/large/resolve/'))).toBe(false);
    const silent = await startHub({ 'too/large': { 'model.onnx': new Uint8Array(200_000) } }, { sizes: false });
    const small = await startStudio({ port: 0, hub: silent.address, limits: { modelBytes: 100_000 } });
    try {
      expect((await fetchModel('too/large', small)).data.error).toContain('may have 0 MB');
    } finally {
      await small.close();
      silent.close();
    }
    expect((await fetchModel('no/model')).event).toBe('failure');
    expect(stored().filter((name) => !kept.includes(name))).toEqual([]);
  });

  it('stops when the page hangs up, and removes what came so far', async () => {
    const slow = await startHub({ [SPAM]: spamRepository() }, { slow: true });
    const waiting = await startStudio({ port: 0, hub: slow.address });
    try {
      const kept = stored();
      const controller = new AbortController();
      const asked = fetchModel(SPAM, waiting, controller.signal);
      while (!slow.asked.some(({ line }) => line.includes('/resolve/')))
        await new Promise((next) => setTimeout(next, 20));
      controller.abort();
      await expect(asked).rejects.toThrow(/abort/i);
      for (let tries = 0; tries < 100 && stored().some((name) => !kept.includes(name)); tries++)
        await new Promise((next) => setTimeout(next, 20));
      expect(stored().filter((name) => !kept.includes(name))).toEqual([]);
    } finally {
      await waiting.close();
      slow.close();
    }
  });

  it('does not start with a hub that is no address', async () => {
    for (const address of ['file:///etc', 'hub', 'http://user@host', 'http://host/?x'])
      await expect(startStudio({ port: 0, hub: address })).rejects.toThrow('is no address of a hub');
  });
});
