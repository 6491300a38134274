/** Models in files, in Node: programs are kept in the user's cache folder. */
import { createHash } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { UserError, externalWeights, fileProblem, joinModels, readModel, weightsOf } from '../onnx/index.ts';
import type { Model } from '../onnx/index.ts';
import { checkExternalFiles, externalState, readSmallWeights } from './external.ts';
import { ModelHost } from './host.ts';
import type { HostSettings, Platform, ProgramStore } from './host.ts';
import { openIsolatedSession } from './isolated.ts';
import { LoadedSessions } from './loaded.ts';
import { makeFolder } from './make-folder.ts';
import { defaultThreads, machineMemory, openSession } from './native.ts';
import { VERSIONS } from './versions.ts';

/** Programs kept loaded unless a host is told otherwise; they also take no more than half the memory. */
const SESSIONS = 128;

export interface HostOptions extends HostSettings {
  /** What people know the model by; default its path. */
  readonly name?: string;
  /** Run models in a child process, so that the event loop of this one stays free and a run can be aborted. Default false. */
  readonly isolated?: boolean;
  /** Folder for compiled programs; `false` keeps them in memory only. Default: the user's cache folder. */
  readonly cache?: string | false;
  /** Further files of the same model, such as the other tower of CLIP or the decoder to an encoder: see `joinModels`. */
  readonly with?: readonly string[];
}

/** A model file and the programs compiled from it, which refer to that file for their weights. */
export class FileModelHost extends ModelHost {
  /** Opens a model file, or several that make up one. Throws a UserError when one cannot be read or is no ONNX model. */
  static async open(file: string, options: HostOptions = {}): Promise<ModelHost> {
    const { isolated = false, cache, name, with: others = [], ...settings } = options;
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
    const first = await readFrom(file);
    const rest = await Promise.all(others.map(readFrom));
    const model =
      rest.length === 0
        ? first.model
        : joinModels([
            { name: stem(file), model: first.model },
            ...rest.map(({ model: other }, at) => ({
              name: stem(others[at]!),
              model: beside(other, others[at]!, folder),
            })),
          ]);
    return named(name ?? file, () => {
      checkExternalFiles(model, folder);
      return new FileModelHost(
        {
          path: name ?? [file, ...others].join(' + '),
          sha256: rest.length === 0 ? first.digest : sha256([first, ...rest].map(({ digest }) => digest).join()),
          model: readSmallWeights(model, folder),
          weightsIn: path.basename(file),
          external: externalState(model, folder),
        },
        platform,
        { loaded: new LoadedSessions({ sessions: SESSIONS, bytes: machineMemory() / 2 }), ...settings },
      );
    });
  }
}

async function readFrom(file: string): Promise<{ readonly model: Model; readonly digest: string }> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new UserError(`cannot read ${file}: ${fileProblem(error)}`, { cause: error });
  });
  return named(file, () => ({ model: readModel(bytes), digest: sha256(bytes) }));
}

/** What is wrong with a file is said with its name. */
function named<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof UserError) throw new UserError(`${file}: ${error.message}`);
    throw error;
  }
}

const stem = (file: string) => path.basename(file, path.extname(file));

/** A further file of a model, whose weights programs find beside the first file; from elsewhere they are copied into programs. */
function beside(model: Model, file: string, folder: string): Model {
  const same = path.dirname(path.resolve(file)) === folder;
  if (!same && externalWeights(model).length > 0)
    throw new UserError(`${file} has weights in other files: put it into the folder of the model it is joined to`);
  return weightsOf(model, same ? path.basename(file) : undefined);
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
      await makeFolder(folder)
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
