/**
 * Something the person asking can put right. The message is one line: what is wrong, where, what to do.
 * The command line prints it as `onnxray: ${message}` and exits with 1; no stack trace is shown.
 */
export class UserError extends Error {
  override readonly name = 'UserError';

  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message.replaceAll(/\s*\n\s*/g, ' '), options);
  }
}
