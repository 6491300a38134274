/** The local server's engine: HTTP, server-sent events for progress, hanging up to cancel. */
import { parseAttention, parseIntervention } from 'onnxray/results';
import { parseExplanation } from 'onnxray/explanation';
import type {
  AttentionView,
  Control,
  Engine,
  HeadVectors,
  Inspected,
  ModelSummary,
  PackedBlock,
  Studio,
  Subject,
} from './engine.ts';

export function serverEngine(base = './api/'): Engine {
  const pictures = new WeakMap<Blob, Promise<string>>();

  async function ask(path: string, init?: RequestInit): Promise<Response> {
    try {
      return await fetch(base + path, init);
    } catch (error) {
      // What a browser says of it is "Failed to fetch", in words of its own.
      if (error instanceof TypeError)
        throw new Error('the server cannot be reached: is onnxray studio still running?', { cause: error });
      throw error;
    }
  }

  async function json<T>(path: string, init?: RequestInit): Promise<T> {
    const response = await ask(path, init);
    if (!response.ok) throw new Error(await failureOf(response));
    return (await response.json()) as T;
  }

  /** Posts, and reads the events of the answer until its result. */
  async function job(path: string, body: unknown, { signal, onProgress }: Control): Promise<string> {
    const response = await ask(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal,
    });
    if (!response.ok || response.body === null) throw new Error(await failureOf(response));
    for await (const { event, data } of eventsOf(response.body)) {
      if (event === 'result') return data;
      const message = JSON.parse(data) as { done: number; total: number; error: string };
      if (event === 'failure') throw new Error(message.error);
      onProgress(message.done, message.total);
    }
    throw new Error('the server ended before it answered');
  }

  async function wire(subject: Subject): Promise<object> {
    if (subject.kind === 'text')
      return { text: subject.text, ...(subject.pair === undefined ? {} : { pair: subject.pair }) };
    let id = pictures.get(subject.data);
    if (id === undefined) {
      id = json<{ id: string }>('pictures', { method: 'PUT', body: subject.data }).then((answer) => answer.id);
      pictures.set(subject.data, id);
      id.catch(() => pictures.delete(subject.data));
    }
    return { picture: await id, ...(subject.text === undefined ? {} : { text: subject.text }) };
  }

  /** Numbers as they lie in memory, and what the server says of them. */
  async function numbers(path: string, signal: AbortSignal): Promise<{ dims: readonly number[]; data: ArrayBuffer }> {
    const response = await ask(path, { signal });
    if (!response.ok) throw new Error(await failureOf(response));
    const dims = response.headers.get('x-dims')!.split(',').map(Number);
    return { dims, data: await response.arrayBuffer() };
  }

  async function packed(path: string, signal: AbortSignal): Promise<PackedBlock> {
    const { dims, data } = await numbers(path, signal);
    return { heads: dims[0]!, queries: dims[1]!, keys: dims[2]!, data: new Uint16Array(data) };
  }

  async function vectors(path: string, signal: AbortSignal): Promise<HeadVectors> {
    const { dims, data } = await numbers(path, signal);
    const both = new Float32Array(data);
    return { size: dims[0]!, queries: both.subarray(0, dims[1]), keys: both.subarray(dims[1]) };
  }

  return {
    kind: 'server',
    start: () => json<Studio>('studio'),
    async drop(files, { signal, onProgress }) {
      const { id } = await json<{ id: string }>('uploads', { method: 'POST', signal });
      try {
        for (const [index, file] of files.entries()) {
          onProgress(index, files.length);
          await json(`uploads/${id}/${encodeURIComponent(file.name)}`, { method: 'PUT', body: file, signal });
        }
        onProgress(files.length, files.length);
        return await json<ModelSummary>(`uploads/${id}/open`, { method: 'POST', signal });
      } catch (error) {
        // What has come so far would lie on the server until it gives it up by itself.
        void json(`uploads/${id}`, { method: 'DELETE' }).catch(() => undefined);
        throw error;
      }
    },
    fetchModel: async (name, control) => JSON.parse(await job('hub', { name }, control)) as ModelSummary,
    remove: (model) => json(`models/${encodeURIComponent(model)}`, { method: 'DELETE' }),
    inspect: (model, { signal }) => json<Inspected>(`models/${encodeURIComponent(model)}/inspection`, { signal }),
    async explain({ model, subject, ...request }, control) {
      const body = { ...request, subject: await wire(subject) };
      return parseExplanation(await job(`models/${encodeURIComponent(model)}/explain`, body, control));
    },
    async attention({ model, subject }, control): Promise<AttentionView> {
      const data = await job(
        `models/${encodeURIComponent(model)}/attention`,
        { subject: await wire(subject) },
        control,
      );
      const { id, pixels, ...overview } = JSON.parse(data) as Omit<AttentionView, 'pixels'> & {
        id: string;
        pixels: string;
      };
      return {
        ...overview,
        pixels: Uint8Array.from(atob(pixels), (char) => char.charCodeAt(0)),
        block: (index, signal) => packed(`attention/${id}/blocks/${index}`, signal),
        vectors: (index, head, signal) => vectors(`attention/${id}/blocks/${index}/vectors/${head}`, signal),
        rollout: (signal) => packed(`attention/${id}/rollout`, signal),
      };
    },
    async analyse({ model, subject, ...request }, control) {
      const body = { ...request, subject: await wire(subject) };
      return parseAttention(await job(`models/${encodeURIComponent(model)}/analysis`, body, control));
    },
    async patch({ model, clean, corrupted, ...request }, control) {
      const body = { ...request, clean: await wire(clean), corrupted: await wire(corrupted) };
      return parseIntervention(await job(`models/${encodeURIComponent(model)}/patching`, body, control));
    },
    close: () => Promise.resolve(),
  };
}

async function failureOf(response: Response): Promise<string> {
  const body = (await response.json().catch(() => ({}))) as { error?: unknown };
  return typeof body.error === 'string' ? body.error : `the server answered ${response.status}`;
}

/** The events of a text/event-stream. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<{ event: string; data: string }> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop()!;
    for (const block of blocks) {
      const lines = block.split('\n');
      const field = (name: string): string[] =>
        lines
          .filter((line) => line.startsWith(`${name}:`))
          .map((line) => line.slice(name.length + 1).replace(/^ /, ''));
      yield { event: field('event')[0] ?? 'message', data: field('data').join('\n') };
    }
  }
}
