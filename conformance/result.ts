/** What was found of one case. */
export type Finding =
  | { readonly status: 'verified'; readonly note?: string }
  | { readonly status: 'failed'; readonly note: string }
  /** Cannot be asked here, and why: no fault of the product. */
  | { readonly status: 'skipped'; readonly note: string };

export interface CaseResult {
  readonly name: string;
  /** The operator the case is of; undefined for graphs of many, such as expanded function bodies. */
  readonly operator: string | undefined;
  readonly opset: number;
  /** Read, written, read again: the same outputs. */
  readonly roundTrip: Finding;
  /** In canonical form: the same outputs. */
  readonly normalized: Finding;
  readonly first: Finding;
  readonly second: Finding;
  readonly precision?: 'float64' | 'float32';
}

export const verified = (note?: string): Finding =>
  note === undefined ? { status: 'verified' } : { status: 'verified', note };
export const failed = (note: string): Finding => ({ status: 'failed', note });
export const skipped = (note: string): Finding => ({ status: 'skipped', note });

/** An error as one short line. */
export const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0]!.slice(0, 240);
