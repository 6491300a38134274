/**
 * Something the person asking can put right. The message is one line: what is wrong, where, what to do.
 * The command line prints it as `onnxray: ${message}` and exits with 1; everything else that is thrown is a defect of ours.
 */
export class UserError extends Error {
  override readonly name = 'UserError';

  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message.replaceAll(/\s*\n\s*/g, ' '), options);
  }
}

/** A mistake in how something was asked for, whatever the model: an unknown method, an option out of its range. Exit code 2. */
export class UsageError extends UserError {}
