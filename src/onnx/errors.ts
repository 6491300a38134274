/**
 * Something the person asking can put right. The message is one line: what is wrong, where, what to do.
 * The command line prints it as `onnxray: ${message}` and exits with 1; everything else that is thrown is a defect of ours.
 */
export class UserError extends Error {
  override readonly name = 'UserError';

  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(oneLine(message), options);
  }
}

/** Longer than any message of ours; names in a broken file can be anything. */
const LONGEST = 800;

/** Without the line breaks and control characters that a name in a file may hold, which a terminal would obey. */
function oneLine(message: string): string {
  const line = message.replaceAll(/\s*\n\s*/g, ' ').replaceAll(/\p{Cc}/gu, '\ufffd');
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST / 2)} ... ${line.slice(-LONGEST / 2)}`;
}

/** Why the system refused a file, in words: `cannot read a.json: ${fileProblem(error)}`. */
export function fileProblem(error: unknown): string {
  const { code } = error as { code?: string };
  return (code !== undefined && FILE_PROBLEMS[code]) || code || String(error);
}

/** What to throw when a file or folder could not be written. */
export function unwritable(file: string, error: unknown): UserError {
  return new UserError(`cannot write ${file}: ${fileProblem(error)}`, { cause: error });
}

const FILE_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is a file, not a folder',
  EEXIST: 'a file of that name is in the way',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'its links lead in a circle',
};

/** A mistake in how something was asked for, whatever the model: an unknown method, an option out of its range. Exit code 2. */
export class UsageError extends UserError {}
