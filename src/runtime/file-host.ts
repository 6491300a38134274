/** Models in files, in Node: programs are kept in the user's cache folder. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { UserError, fileProblem, readModel } from '../onnx/index.ts';
import { checkExternalFiles, externalState, readSmallWeights } from './external.ts';
import { ModelHost } from './host.ts';
import type { Platform, ProgramStore } from './host.ts';
import { openIsolatedSession } from './isolated.ts';
import { defaultThreads, openSession } from './native.ts';
import type { SessionOptions } from './session.ts';
import { VERSIONS } from './versions.ts';

export interface HostOptions extends SessionOptions {
  /** Run models in a child process, so that the event loop of this one stays free and a run can be aborted. Default false. */
  readonly isolated?: boolean;
  /** Folder for compiled programs; `false` keeps them in memory only. Default: the user's cache folder. */
  readonly cache?: string | false;
}

/** A model file and the programs compiled from it, which refer to that file for their weights. */
export class FileModelHost extends ModelHost {
  /** Opens a model file. Throws a UserError when it cannot be read or is no ONNX model. */
  static async open(file: string, options: HostOptions = {}): Promise<ModelHost> {
    const { isolated = false, cache, ...sessionOptions } = options;
    const bytes = await readFile(file).catch((error: unknown) => {
      throw new UserError(`cannot read ${file}: ${fileProblem(error)}`, { cause: error });
    });
    const folder = path.dirname(path.resolve(file));
    const open = isolated ? openIsolatedSession : openSession;
    const platform: Platform = {
      openSession: (program, given) => open(program, { ...given, weightsFolder: folder }),
      sha256,
      store: cache === false ? undefined : folderStore(cache ?? userCache()),
      defaultProvider: 'cpu',
      defaultThreads: defaultThreads(),
      versions: VERSIONS,
    };
    try {
      const model = readModel(bytes);
      checkExternalFiles(model, folder);
      return new FileModelHost(
        {
          path: file,
          sha256: sha256(bytes),
          model: readSmallWeights(model, folder),
          weightsIn: path.basename(file),
          external: externalState(model, folder),
        },
        platform,
        sessionOptions,
      );
    } catch (error) {
      if (error instanceof UserError) throw new UserError(`${file}: ${error.message}`);
      throw error;
    }
  }
}

function userCache(): string {
  return path.join(process.env['XDG_CACHE_HOME'] || path.join(homedir(), '.cache'), 'onnxray');
}

/** Written beside and moved into place, so that another process never reads half a file; a full or read-only disk is no error. */
function folderStore(folder: string): ProgramStore {
  return {
    read: (name) => readFile(path.join(folder, name)).catch(() => undefined),
    async write(name, content) {
      const partial = path.join(folder, `${name}.${process.pid}.partial`);
      await mkdir(folder, { recursive: true })
        .then(() => writeFile(partial, content))
        .then(() => rename(partial, path.join(folder, name)))
        .catch(() => rm(partial, { force: true }))
        .catch(() => undefined);
    },
  };
}

function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}
