import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStudio } from '../../src/server/index.ts';
import type { RunningStudio } from '../../src/server/index.ts';

let studio: RunningStudio;
beforeAll(async () => {
  studio = await startStudio({ port: 0, limits: { modelBytes: 100_000, pictureBytes: 10_000, jsonBytes: 5000 } });
});
afterAll(() => studio.close());

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A request as it goes over the wire: no client mends its path or its headers. */
function ask(
  target: string,
  options: { method?: string; headers?: Record<string, string>; body?: string | Buffer; port?: number } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body, port = studio.port } = options;
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path: target, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks).toString() }),
      );
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const own = () => `http://127.0.0.1:${studio.port}`;
const post = (target: string, body: unknown, headers: Record<string, string> = {}) =>
  ask(target, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: own(), ...headers },
    body: JSON.stringify(body),
  });

describe('the studio’s server', () => {
  it('lists models and methods for its own page', async () => {
    const { status, body } = await ask('/api/studio', { headers: { origin: own(), 'sec-fetch-site': 'same-origin' } });
    expect(status).toBe(200);
    const listed = JSON.parse(body) as { models: { id: string }[]; methods: { name: string }[] };
    expect(listed.models.map(({ id }) => id)).toEqual(['text-spam', 'image-imagenet']);
    expect(listed.methods.map(({ name }) => name)).toContain('integrated-gradients');
  });

  it.each([
    ['a foreign Host, as after DNS rebinding', { host: 'evil.example' }],
    ['a Host that only begins like ours', { host: '127.0.0.1.evil.example' }],
    ['a malformed Host', { host: 'localhost@evil' }],
    ['a foreign Origin', { origin: 'http://evil.example' }],
    ['an Origin of another port', { origin: 'http://127.0.0.1:1' }],
    ['the null Origin of a sandbox', { origin: 'null' }],
    ['a foreign page without an Origin', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }],
    [
      'a frame in a foreign page',
      { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
    ],
  ])('refuses %s', async (_, headers) => {
    for (const target of ['/api/studio', '/'])
      expect([400, 403]).toContain((await ask(target, { headers: { ...headers } as Record<string, string> })).status);
  });

  it('shows its page to who follows a link from elsewhere, but none of its data', async () => {
    const headers = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    expect((await ask('/', { headers })).status).toBe(200);
    for (const target of ['/api/studio', '/api/models/text-spam/inspection', '/models/text-spam/config.json'])
      expect((await ask(target, { headers })).status, target).toBe(403);
  });

  it.each([
    '/../package.json',
    '/..%2f..%2fpackage.json',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/models/text-spam/../../../package.json',
    '/models/text-spam/..%5c..%5cpackage.json',
    '//etc/passwd',
    '/pictures/%00cat.jpg',
    '/assets/..%252f..%252fpackage.json',
    '/api/models/..%2f..%2f/inspection',
  ])('answers %s with no file', async (target) => {
    const { status, body } = await ask(target);
    expect([400, 404, 422]).toContain(status);
    expect(body).not.toMatch(/"dependencies"|root:/);
  });

  it('sends a strict policy and isolation with every answer, errors included', async () => {
    for (const target of ['/', '/api/studio', '/nothing']) {
      const { headers } = await ask(target);
      expect(headers['content-security-policy']).toContain("default-src 'none'");
      expect(headers['content-security-policy']).not.toMatch(/'unsafe-inline'|'unsafe-eval'|\*/);
      expect(headers['cross-origin-opener-policy']).toBe('same-origin');
      expect(headers['cross-origin-embedder-policy']).toBe('require-corp');
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['access-control-allow-origin']).toBeUndefined();
      // The camera is for the page itself; nothing else is for anybody.
      expect(headers['permissions-policy']).toBe('camera=(self), microphone=(), geolocation=()');
    }
  });

  it('refuses an upload that says it is too large, and one that turns out to be', async () => {
    const begin = async () => (JSON.parse((await post('/api/uploads', {})).body) as { id: string }).id;
    const declared = await ask(`/api/uploads/${await begin()}/model.onnx`, {
      method: 'PUT',
      headers: { origin: own() },
      body: Buffer.alloc(100_001),
    });
    expect(declared.status).toBe(413);
    const chunked = await ask(`/api/uploads/${await begin()}/model.onnx`, {
      method: 'PUT',
      headers: { origin: own(), 'transfer-encoding': 'chunked' },
      body: Buffer.alloc(100_001),
    });
    expect(chunked.status).toBe(413);
    const picture = await ask('/api/pictures', {
      method: 'PUT',
      headers: { origin: own() },
      body: Buffer.alloc(10_001),
    });
    expect(picture.status).toBe(413);
    const json = await post('/api/models/text-spam/explain', { subject: { text: 'x'.repeat(6000) } });
    expect(json.status).toBe(413);
  });

  it('stores a dropped model under a name of its own, and takes no other name that is not plain', async () => {
    const { id } = JSON.parse((await post('/api/uploads', {})).body) as { id: string };
    const put = (name: string, body: string) =>
      ask(`/api/uploads/${id}/${encodeURIComponent(name)}`, { method: 'PUT', headers: { origin: own() }, body });
    expect((await put('../../../evil.json', '{}')).status).toBe(422);
    expect((await put('.bashrc', 'x')).status).toBe(422);
    expect((await put('a/b.data', 'x')).status).toBe(422);
    const hostile = '"><img src=x onerror=alert(1)>.onnx';
    expect((await put(hostile, 'not a model')).status).toBe(200);
    const opened = await post(`/api/uploads/${id}/open`, {});
    expect(opened.status).toBe(422);
    expect(opened.headers['content-type']).toMatch(/^application\/json/);
    const names = readdirSync(tmpdir())
      .filter((name) => name.startsWith('onnxray-studio-'))
      .flatMap((name) => readdirSync(path.join(tmpdir(), name), { recursive: true, encoding: 'utf8' }));
    expect(names.filter((name) => name.includes('onerror'))).toEqual([]);
  });

  it('takes explanations as JSON only, so that no form of another page can ask', async () => {
    const { status } = await ask('/api/models/text-spam/explain', {
      method: 'POST',
      headers: { 'content-type': 'text/plain', origin: own() },
      body: JSON.stringify({ subject: { text: 'a' } }),
    });
    expect(status).toBe(400);
  });

  it.each([
    ['no subject', {}],
    ['a path in place of a picture', { subject: { picture: '/etc/passwd' } }],
    ['a number for a text', { subject: { text: 3 } }],
    ['an unknown method', { subject: { text: 'a' }, method: 'constructor' }],
    ['an unknown baseline', { subject: { text: 'a' }, baseline: '@/etc/passwd' }],
  ])('refuses %s', async (_, body) => {
    const { status, body: text } = await post('/api/models/text-spam/explain', body);
    expect([400, 422]).toContain(status);
    expect(text).not.toContain('root:');
  });

  it('explains a text that looks like markup, and gives it back as data', async () => {
    const text = '<script>alert(1)</script> free money';
    const { headers, body } = await post('/api/models/text-spam/explain', { subject: { text }, method: 'saliency' });
    expect(headers['content-type']).toContain('text/event-stream');
    const data = /event: result\ndata: (.*)\n/.exec(body)?.[1];
    expect((JSON.parse(data!) as { text: { texts: string[] } }).text.texts).toEqual([text]);
  });
});

describe('the studio’s server bound elsewhere', () => {
  it('asks for its token, takes it from the address once, and keeps it in a cookie scripts cannot read', async () => {
    const open = await startStudio({ host: '0.0.0.0', port: 0 });
    try {
      const token = open.token!;
      expect(token.length).toBeGreaterThanOrEqual(32);
      expect(open.url).toContain(token);
      const { port } = open;
      expect((await ask('/api/studio', { port })).status).toBe(401);
      expect((await ask('/', { port })).status).toBe(401);
      expect((await ask('/?token=wrong', { port })).status).toBe(401);
      const person = await ask('/', { port, headers: { accept: 'text/html,*/*' } });
      expect([person.status, person.headers['content-type']]).toEqual([401, 'text/html; charset=UTF-8']);
      expect(person.body).toMatch(/open the whole address .*请打开/s);
      const entered = await ask(`/?token=${token}`, { port });
      expect(entered.status).toBe(303);
      expect(entered.headers.location).toBe('/');
      const cookie = entered.headers['set-cookie']![0]!;
      expect(cookie).toMatch(/HttpOnly/);
      expect(cookie).toMatch(/SameSite=Strict/);
      expect(cookie, 'not that of a studio on another port').toContain(`onnxray_token_${port}=`);
      expect((await ask('/api/studio', { port, headers: { cookie: cookie.split(';')[0]! } })).status).toBe(200);
      expect((await ask('/api/studio', { port, headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
      expect((await ask('/api/studio', { port, headers: { host: `192.168.1.4:${port}` } })).status).toBe(401);
      expect((await ask('/api/studio', { port, headers: { host: 'evil.example' } })).status).toBe(403);
    } finally {
      await open.close();
    }
  });
});

describe('models named at the start', () => {
  it('are listed by their file name, whatever it holds', async () => {
    const folder = path.join(tmpdir(), `onnxray-test-${process.pid}`);
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, '<b>bold<b>.onnx');
    writeFileSync(file, readFileSync(path.resolve(import.meta.dirname, '../attention/fixtures/distilbert-eager.onnx')));
    const running = await startStudio({ port: 0, models: [file] });
    try {
      const { body, headers } = await ask('/api/studio', { port: running.port });
      expect(headers['content-type']).toMatch(/^application\/json/);
      expect((JSON.parse(body) as { models: { name: string }[] }).models[0]!.name).toBe('<b>bold<b>.onnx');
    } finally {
      await running.close();
    }
  });
});
