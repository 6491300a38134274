/** Models dropped on the page: what is kept of them, for how long, and what is told of where they lie. */
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeModel } from '../../src/onnx/index.ts';
import { startStudio } from '../../src/server/index.ts';
import type { RunningStudio, StudioOptions } from '../../src/server/index.ts';
import { ModelLibrary } from '../../src/server/models.ts';
import { DEFAULT_LIMITS, Uploads } from '../../src/server/uploads.ts';
import { TEXT_MODEL, testFolder } from '../folder.ts';
import { perceptron } from '../handmade.ts';
import { modelProcesses } from '../runtime/processes.ts';

let folder: string;
let before: string | undefined;
const running: RunningStudio[] = [];
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'onnxray-test-uploads-'));
  before = process.env['TMPDIR'];
  process.env['TMPDIR'] = folder;
});
afterEach(async () => {
  for (const studio of running.splice(0)) await studio.close();
  if (before === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = before;
  await rm(folder, { recursive: true, force: true });
});

async function start(limits: StudioOptions['limits']): Promise<string> {
  const studio = await startStudio({ port: 0, runtime: { threads: 1 }, limits: limits ?? {} });
  running.push(studio);
  return studio.url;
}

interface Told {
  readonly status: number;
  readonly body: { readonly id?: string; readonly error?: string; readonly name?: string };
}
async function send(url: string, method: string, body?: BodyInit): Promise<Told> {
  const response = await fetch(url, { method, ...(body === undefined ? {} : { body }) });
  return { status: response.status, body: (await response.json()) as Told['body'] };
}
const begin = async (url: string) => (await send(`${url}api/uploads`, 'POST')).body.id!;
const stored = (): string[] =>
  readdirSync(folder)
    .filter((name) => name.startsWith('onnxray-studio-'))
    .flatMap((name) => readdirSync(path.join(folder, name)));
const bytes = writeModel(perceptron()) as Uint8Array<ArrayBuffer>;

describe('an upload', () => {
  it('of which nothing comes is given up after a while, and makes room for another', async () => {
    const uploads = new Uploads({ ...DEFAULT_LIMITS, models: 1, idle: 300 });
    const [first, second] = await Promise.allSettled([uploads.begin(), uploads.begin()]);
    expect([first.status, second.status]).toEqual(['fulfilled', 'rejected']);
    for (let tries = 0; tries < 100 && stored().length > 0; tries++) await new Promise((next) => setTimeout(next, 50));
    expect(stored()).toEqual([]);
    await expect(uploads.begin()).resolves.toMatch(/^[0-9a-f-]{36}$/);
    await uploads.close();
  });

  it('that breaks off leaves nothing behind', async () => {
    const url = await start({});
    const id = await begin(url);
    const controller = new AbortController();
    const endless = new ReadableStream<Uint8Array>({ start: (stream) => stream.enqueue(new Uint8Array(1000)) });
    const sent = fetch(`${url}api/uploads/${id}/model.onnx`, {
      method: 'PUT',
      body: endless,
      duplex: 'half',
      signal: controller.signal,
    } as RequestInit);
    await new Promise((next) => setTimeout(next, 300));
    controller.abort();
    await expect(sent).rejects.toThrow(/abort/i);
    for (let tries = 0; tries < 100 && stored().length > 0; tries++) await new Promise((next) => setTimeout(next, 50));
    expect(stored()).toEqual([]);
    expect((await send(`${url}api/uploads/${id}/open`, 'POST')).body.error).toContain('no such upload');
  });

  it('is refused beyond what all together may have, until one is removed', async () => {
    const url = await start({ totalBytes: Math.round(bytes.length * 1.5) });
    const drop = async (): Promise<Told> => {
      const id = await begin(url);
      const put = await send(`${url}api/uploads/${id}/mine.onnx`, 'PUT', bytes);
      return put.status === 200 ? send(`${url}api/uploads/${id}/open`, 'POST') : put;
    };
    const first = await drop();
    expect([first.status, first.body.name]).toEqual([200, 'mine.onnx']);
    const second = await drop();
    expect(second.status).toBe(413);
    expect(second.body.error).toContain('remove one first');
    expect((await send(`${url}api/models/text-spam`, 'DELETE')).body.error).toContain('only models that were dropped');
    expect((await send(`${url}api/models/${first.body.id}`, 'DELETE')).status).toBe(200);
    expect((await send(`${url}api/models/${first.body.id}/inspection`, 'GET')).status).toBe(422);
    expect((await drop()).status).toBe(200);
  });

  it('that is no model is refused by the name it was dropped with', async () => {
    const url = await start({});
    const id = await begin(url);
    await send(`${url}api/uploads/${id}/mine.onnx`, 'PUT', 'Dear Sir or Madam');
    const { body } = await send(`${url}api/uploads/${id}/open`, 'POST');
    expect(body.error).toMatch(/^mine\.onnx: /);
    expect(body.error).not.toContain(folder);
    const empty = await begin(url);
    await send(`${url}api/uploads/${empty}/tokenizer.json`, 'PUT', '{}');
    const opened = await send(`${url}api/uploads/${empty}/open`, 'POST');
    expect(opened.body.error).toContain('no .onnx file');
  });
});

it('no answer tells where a model lies', async () => {
  const url = await start({});
  const ask = async (what: string, body: object) => {
    const response = await fetch(`${url}api/models/text-spam/${what}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return response.text();
  };
  const [clean, corrupted] = [{ text: 'free prize' }, { text: 'dear friend' }];
  const answers = [
    await ask('explain', { subject: clean, method: 'saliency' }),
    await ask('analysis', { subject: clean, analysis: 'entropy' }),
    await ask('patching', { clean, corrupted }),
  ];
  for (const answer of answers) {
    expect(answer).toContain('event: result');
    expect(answer).toContain('"path":"text-spam"');
    expect(answer).not.toContain(path.dirname(TEXT_MODEL));
  }
}, 120_000);

describe('models held open', () => {
  const models = testFolder('library');
  it('are as many as may be; one in use stays, one that was closed is opened again', async () => {
    const library = new ModelLibrary({ threads: 1, cache: false }, { mostOpen: 1 });
    const ids = [1, 2, 3].map((seed) => library.add(models.write(`${seed}.onnx`, perceptron(seed)), 'given').id);
    const run = { tensors: { x: { type: 'float32' as const, dims: [1, 4], data: Float32Array.of(1, 2, 3, 4) } } };
    const explain = (id: string) => library.use(id, (model) => model.explain(run, { method: 'saliency' }));
    await explain(ids[0]!);
    const kept = modelProcesses().length;
    await explain(ids[1]!);
    expect(modelProcesses()).toHaveLength(kept);
    await library.use(ids[1]!, async (held) => {
      await explain(ids[2]!);
      await held.explain(run, { method: 'saliency' });
      expect(await library.open(ids[1]!), 'still open').toBe(held);
    });
    await explain(ids[0]!);
    expect(modelProcesses()).toHaveLength(kept);
    await library.close();
    expect(modelProcesses()).toEqual([]);
  });
});
