/**
 * A mistake a person can mend: one line that says what is wrong, where, and what to do.
 * The command line prints it as it is; everything else that is thrown is a defect of ours.
 */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/** A mistake in how something was asked for, whatever the model: an unknown method, an option out of its range. */
export class UsageError extends UserError {}
