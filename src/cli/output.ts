import { constants } from 'node:fs';
import { access, chmod, readlink, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { UsageError, UserError, unwritable } from '../onnx/index.ts';

/**
 * Writes a whole file or nothing: beside its place first, then moved there. A link stays a link, what it leads to is
 * written; a file that was there keeps its mode; a pipe or a device is written to as it is.
 */
export async function writeWhole(file: string, content: string | Uint8Array): Promise<void> {
  const there = await stat(file).catch(() => undefined);
  const place = await linkedPlace(file);
  const partial = `${place}.${process.pid}.partial`;
  try {
    if (there !== undefined && !there.isFile()) return await writeFile(file, content);
    await writeFile(partial, content);
    if (there !== undefined) await chmod(partial, there.mode & 0o7777);
    await rename(partial, place);
  } catch (error) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw unwritable(file, error);
  }
}

/** Where a file is, or will be, that links lead to. */
async function linkedPlace(file: string): Promise<string> {
  const real = await realpath(file).catch(() => undefined);
  if (real !== undefined) return real;
  // A link to a file that is not there yet.
  const target = await readlink(file).catch(() => undefined);
  return target === undefined ? file : path.resolve(path.dirname(file), target);
}

/** DEL and C1 controls, which a terminal acts on, and those that turn the direction of reading. JSON itself escapes only C0. */
// eslint-disable-next-line no-control-regex
const ACTED_ON = /[\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Writes one JSON document to stdout: the same to every reader, and nothing in it that a terminal acts on. */
export function printJson(document: string): void {
  const escaped = document.replace(ACTED_ON, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  process.stdout.write(`${escaped.trimEnd()}\n`);
}

/** The format a file's name asks for. Throws a UsageError that lists those there are. */
export function fileFormat<const T extends string>(file: string, formats: readonly T[]): T {
  const extension = path.extname(file).slice(1).toLowerCase();
  const format = formats.find((each) => each === extension);
  if (format !== undefined) return format;
  const names = formats.map((each) => `.${each}`);
  throw new UsageError(
    `cannot tell the format of "${file}": name it ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`,
  );
}

/** Refuses a place that a file cannot be written to, before there is anything to write. */
export async function checkPlace(file: string): Promise<void> {
  const there = await stat(file).catch(() => undefined);
  if (there?.isDirectory()) throw new UserError(`cannot write ${file}: it is a folder`);
  try {
    if (there !== undefined && !there.isFile()) return await access(file, constants.W_OK);
    // The dot refuses a file in the folder's place.
    await access(`${path.dirname(path.resolve(await linkedPlace(file)))}${path.sep}.`, constants.W_OK);
  } catch (error) {
    throw unwritable(file, error);
  }
}

/** Rows done of rows to do, on one line of a terminal; silent elsewhere. */
export function progressLine(
  label: string,
  quiet: boolean,
): ((done: number, total: number) => void) & { clear(): void } {
  const stream = process.stderr;
  const show = stream.isTTY && !quiet;
  const report = (done: number, total: number): void => {
    if (!show) return;
    const cells = Math.round((24 * done) / total);
    stream.write(`\r${label} ${'█'.repeat(cells)}${'░'.repeat(24 - cells)} ${done}/${total}\u001b[K`);
  };
  return Object.assign(report, {
    clear(): void {
      if (show) stream.write('\r\u001b[K');
    },
  });
}

/** An AbortSignal that fires at Ctrl-C; a second Ctrl-C ends the process at once. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort(new UserError('interrupted')));
  return controller.signal;
}
