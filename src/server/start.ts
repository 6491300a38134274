import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { UserError } from '../onnx/index.ts';
import type { HostOptions } from '../runtime/index.ts';
import { buildApp } from './app.ts';
import { listFiles, pageFolder, zooFolder } from './files.ts';
import { isLoopback } from './guard.ts';
import { readHub } from './hub.ts';
import { EMBEDDED, ModelLibrary } from './models.ts';
import { DEFAULT_LIMITS, Uploads } from './uploads.ts';
import type { UploadLimits } from './uploads.ts';

export interface StudioOptions {
  /** Models to offer beside the embedded ones: .onnx files or folders. */
  readonly models?: readonly string[];
  /** Default 127.0.0.1. Bound to anything else than loopback, a token is asked for. */
  readonly host?: string;
  /** Default: 4747, or any free one when that is taken. 0 takes any. */
  readonly port?: number;
  readonly runtime?: HostOptions;
  readonly limits?: Partial<UploadLimits>;
  /** Where models are fetched from when the page asks for one by its name; default the Hugging Face hub. */
  readonly hub?: string;
}

export interface RunningStudio {
  /** What to open in a browser, with the token where there is one. */
  readonly url: string;
  readonly port: number;
  readonly token: string | undefined;
  /** Stops serving, ends the processes of all models, removes what was dropped. */
  close(): Promise<void>;
}

const DEFAULT_PORT = 4747;

/** Starts the studio. Throws a UserError for a model that is not there or an address that cannot be bound. */
export async function startStudio(options: StudioOptions = {}): Promise<RunningStudio> {
  const host = options.host ?? '127.0.0.1';
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const hub = readHub(options.hub);
  const library = new ModelLibrary(options.runtime ?? {});
  for (const model of options.models ?? []) library.add(model, 'given');
  for (const name of EMBEDDED) library.add(path.join(zooFolder(), name), 'embedded', name, name);
  const uploads = new Uploads(limits);
  const token = isLoopback(host) ? undefined : randomBytes(24).toString('base64url');
  const files = new Map([
    ...listFiles(pageFolder()),
    ...listFiles(path.join(zooFolder(), 'photographs'), '/pictures/'),
    // The same models, for who runs them in the browser.
    ...EMBEDDED.flatMap((name) => [...listFiles(path.join(zooFolder(), name), `/models/${name}/`)]),
  ]);
  const app = buildApp({ host, token, files, library, uploads, limits, hub });
  const server = createServer(getRequestListener(app.fetch));
  const bind = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  try {
    await bind(options.port ?? DEFAULT_PORT).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' || options.port !== undefined) throw error;
      await bind(0);
    });
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    const reason = taken ? `port ${options.port} is in use, give another or none` : (error as Error).message;
    throw new UserError(`cannot listen on ${host}: ${reason}`, { cause: error });
  }
  const { port } = server.address() as AddressInfo;
  const ended = new AbortController();
  const warmed = library.warm(ended.signal);
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${name}:${port}/${token === undefined ? '' : `?token=${token}`}`,
    port,
    token,
    async close(): Promise<void> {
      ended.abort();
      await warmed;
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await library.close();
      await uploads.close();
    },
  };
}
