/** The routes. All state is in what is passed in. */
import { createHash, randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { streamSSE } from 'hono/streaming';
import { serializeAttention, serializeIntervention } from '../attention/index.ts';
import type { CapturedAttention, PackedBlock } from '../attention/index.ts';
import { ALL_METHODS, findMethod } from '../attribution/index.ts';
import { serializeExplanation } from '../explanation/index.ts';
import { analyse, captureSubject, patchSubjects, summarizeMethod } from '../jobs/index.ts';
import { UsageError, UserError } from '../onnx/index.ts';
import { VERSIONS } from '../runtime/index.ts';
import type { ServedFiles } from './files.ts';
import { serveFile, servePage } from './files.ts';
import { requireToken, sameOrigin, securityHeaders } from './guard.ts';
import { fetchFromHub } from './hub.ts';
import type { ModelLibrary } from './models.ts';
import { readAnalysisBody, readExplainBody, readPatchingBody, readSubjectBody, record } from './requests.ts';
import { TooLargeError } from './uploads.ts';
import type { UploadLimits, Uploads } from './uploads.ts';

export interface AppParts {
  readonly host: string;
  /** Asked of every request; none when bound to loopback. */
  readonly token: string | undefined;
  readonly files: ServedFiles;
  readonly library: ModelLibrary;
  readonly uploads: Uploads;
  readonly limits: UploadLimits;
  /** Address of the hub that models are fetched from by their names. */
  readonly hub: string;
}

/** Pictures and captures kept for later requests; the oldest goes first. */
const PICTURES = 12;
const CAPTURES = 3;

export function buildApp({ host, token, files, library, uploads, limits, hub }: AppParts): Hono {
  const app = new Hono();
  const pictures = new Map<string, Uint8Array>();
  const captures = new Map<string, CapturedAttention>();
  const picture = (id: string): Uint8Array => {
    const bytes = pictures.get(id);
    if (bytes === undefined) throw new UserError('the picture is not here any more: drop it again');
    return bytes;
  };
  const messageOf = (error: unknown): string => library.withoutPlaces(messageFrom(error));
  const job = (c: Context, run: Job): Response => streamJob(c, run, messageOf);
  const json = bodyLimit({
    maxSize: limits.jsonBytes,
    onError: (c) => c.json({ error: `a request may have ${limits.jsonBytes} bytes` }, 413),
  });

  app.use(securityHeaders(), sameOrigin(host));
  if (token !== undefined) app.use(requireToken(token));
  app.use('/api/*', async (c, next) => {
    await next();
    c.res.headers.set('Cache-Control', 'no-store');
  });
  app.onError((error, c) => c.json({ error: messageOf(error) }, statusOf(error)));
  app.notFound((c) => c.json({ error: 'not found' }, 404));

  app.get('/api/studio', (c) =>
    c.json({
      version: VERSIONS['onnxray'],
      limits,
      hub,
      models: library.list(),
      methods: ALL_METHODS.map(summarizeMethod),
    }),
  );
  app.get('/api/models/:id/inspection', async (c) => c.json(await library.inspect(c.req.param('id'))));

  app.post('/api/uploads', async (c) => c.json({ id: await uploads.begin() }));
  app.put('/api/uploads/:id/:name', async (c) => {
    const declared = Number(c.req.header('content-length') ?? Number.NaN);
    const body = c.req.raw.body;
    if (body === null) throw new UserError('the file is empty');
    await uploads.store(c.req.param('id'), c.req.param('name'), body, Number.isFinite(declared) ? declared : undefined);
    return c.json({});
  });
  app.post('/api/uploads/:id/open', async (c) => {
    const id = c.req.param('id');
    try {
      const { folder, name } = uploads.finish(id);
      return c.json(await library.adopt(folder, name, id, 'dropped'));
    } catch (error) {
      await uploads.discard(id);
      throw error;
    }
  });

  app.delete('/api/uploads/:id', async (c) => {
    await uploads.discard(c.req.param('id'));
    return c.json({});
  });
  app.delete('/api/models/:id', async (c) => {
    const id = c.req.param('id');
    await library.remove(id);
    await uploads.discard(id);
    return c.json({});
  });

  app.post('/api/hub', json, async (c) => {
    const name = record(await jsonBody(c), 'the request')['name'];
    if (typeof name !== 'string') throw new UsageError('"name" is the name of a model');
    return job(c, async (signal, onProgress) =>
      JSON.stringify(await fetchFromHub(name, hub, { library, uploads }, { signal, onProgress })),
    );
  });

  app.put(
    '/api/pictures',
    bodyLimit({
      maxSize: limits.pictureBytes,
      onError: (c) => c.json({ error: `a picture may have ${(limits.pictureBytes / 1e6).toFixed(0)} MB` }, 413),
    }),
    async (c) => {
      const bytes = new Uint8Array(await c.req.arrayBuffer());
      const id = createHash('sha256').update(bytes).digest('hex');
      remember(pictures, id, bytes, PICTURES);
      return c.json({ id });
    },
  );

  app.post('/api/models/:id/explain', json, async (c) => {
    const { subject, options } = readExplainBody(await jsonBody(c), picture);
    const method = findMethod(options.method);
    const id = c.req.param('id');
    await library.open(id);
    return job(c, (signal, onProgress) =>
      library.use(id, async (model) => {
        const { explanation } = await model.explain(subject, { ...options, method, signal, onProgress });
        return serializeExplanation(explanation);
      }),
    );
  });

  app.post('/api/models/:id/attention', json, async (c) => {
    const fields = record(await jsonBody(c), 'the request');
    const subject = readSubjectBody(fields['subject'], picture);
    const model = c.req.param('id');
    await library.open(model);
    return job(c, async (signal, onProgress) => {
      const { captured, overview } = await library.use(model, (opened) =>
        captureSubject(opened, subject, { signal, onProgress }),
      );
      const { pixels, ...rest } = overview;
      const id = randomUUID();
      remember(captures, id, captured, CAPTURES);
      return JSON.stringify({ id, ...rest, pixels: Buffer.from(pixels).toString('base64') });
    });
  });
  app.post('/api/models/:id/analysis', json, async (c) => {
    const request = readAnalysisBody(await jsonBody(c), picture);
    const id = c.req.param('id');
    await library.open(id);
    return job(c, async (signal, onProgress) =>
      serializeAttention(await library.use(id, (model) => analyse(model, request, { signal, onProgress }))),
    );
  });
  app.post('/api/models/:id/patching', json, async (c) => {
    const request = readPatchingBody(await jsonBody(c), picture);
    const id = c.req.param('id');
    await library.open(id);
    return job(c, async (signal, onProgress) =>
      serializeIntervention(await library.use(id, (model) => patchSubjects(model, request, { signal, onProgress }))),
    );
  });
  const capture = (c: Context): CapturedAttention => {
    const found = captures.get(c.req.param('id') ?? '');
    if (found === undefined) throw new UserError('this attention is not here any more: ask for it again');
    return found;
  };
  app.get('/api/attention/:id/blocks/:index', async (c) =>
    packed(c, await capture(c).block(Number(c.req.param('index')), c.req.raw.signal)),
  );
  app.get('/api/attention/:id/blocks/:index/vectors/:head', async (c) => {
    const { index, head } = c.req.param();
    const { size, queries, keys } = await capture(c).vectors(Number(index), Number(head), c.req.raw.signal);
    const both = new Float32Array(queries.length + keys.length);
    both.set(queries);
    both.set(keys, queries.length);
    return numbers(c, both, [size, queries.length]);
  });
  app.get('/api/attention/:id/rollout', async (c) => packed(c, await capture(c).rollout(c.req.raw.signal)));

  // What a page that runs models itself starts from: the same file as in an exported site.
  app.get('/studio.json', (c) =>
    c.json({ models: library.list().filter(({ origin }) => origin === 'embedded') }, 200, {
      'Cache-Control': 'no-cache',
    }),
  );
  app.get('/', (c) => servePage(c, files));
  app.get('/index.html', (c) => servePage(c, files));
  app.get('*', (c) => serveFile(c, files, c.req.path));
  return app;
}

async function jsonBody(c: Context): Promise<unknown> {
  // Forms and plain text can be sent by any page without asking; JSON cannot.
  if (!/^application\/json\b/i.test(c.req.header('content-type') ?? '')) throw new UsageError('send application/json');
  return c.req.json().catch(() => {
    throw new UsageError('the request is not valid JSON');
  });
}

type Job = (signal: AbortSignal, onProgress: (done: number, total: number) => void) => Promise<string>;

/** Runs something long: progress as events, then the result or the error; stops when the page hangs up. */
function streamJob(c: Context, run: Job, messageOf: (error: unknown) => string): Response {
  return streamSSE(c, async (stream) => {
    const controller = new AbortController();
    stream.onAbort(() => controller.abort(new UserError('cancelled')));
    const send = (event: string, data: string): void => {
      if (!stream.aborted && !stream.closed) void stream.writeSSE({ event, data }).catch(() => undefined);
    };
    try {
      const data = await run(controller.signal, (done, total) => send('progress', JSON.stringify({ done, total })));
      await stream.writeSSE({ event: 'result', data });
    } catch (error) {
      // Awaited: the stream ends with this function.
      if (!stream.aborted)
        await stream.writeSSE({ event: 'failure', data: JSON.stringify({ error: messageOf(error) }) });
    }
  });
}

function packed(c: Context, { heads, queries, keys, data }: PackedBlock): Response {
  return numbers(c, data, [heads, queries, keys]);
}

/** Numbers as they lie in memory, with what their reader must know of them. */
function numbers(c: Context, data: Uint16Array | Float32Array, dims: readonly number[]): Response {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  return c.body(bytes, 200, { 'Content-Type': 'application/octet-stream', 'X-Dims': dims.join() });
}

function remember<T>(map: Map<string, T>, id: string, value: T, most: number): void {
  map.delete(id);
  map.set(id, value);
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
}

function messageFrom(error: unknown): string {
  if (error instanceof UserError) return error.message;
  return `unexpected: ${error instanceof Error ? error.message.split('\n')[0]! : String(error)}`;
}

function statusOf(error: unknown): 400 | 413 | 422 | 500 {
  if (error instanceof TooLargeError) return 413;
  if (error instanceof UsageError) return 400;
  return error instanceof UserError ? 422 : 500;
}
