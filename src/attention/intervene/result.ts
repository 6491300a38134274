/** The one result type of interventions and of the tests of attention: tables of numbers with named rows and columns. */
import type { ModelRef, RuntimeInfo, Scores, TargetRef } from '../../explanation/index.ts';

export interface TableAxis {
  /** What the entries are: `layer`, `head`, `position`, `query`, `key`, `component`, `measure`, `removed`, `ranking`. */
  readonly name: string;
  readonly labels: readonly string[];
}

/** Numbers by row and column. */
export interface InterventionTable {
  readonly name: string;
  readonly rows: TableAxis;
  readonly columns: TableAxis;
  /** By the measure's name, dims [rows, columns]. NaN (null in JSON) where a model has no such place. */
  readonly measures: Readonly<Record<string, Scores>>;
  /** What stands in a cell beside its number, such as the token a layer would answer; row by row. */
  readonly texts?: readonly string[];
}

/** What an intervention did, or a test of attention found. */
export interface Intervention {
  /** The command: `patch` or `ablate`. */
  readonly command: 'patch' | 'ablate';
  readonly analysis: string;
  /** Every option, defaults included. */
  readonly options: Readonly<Record<string, string | number | boolean | null>>;
  readonly model: ModelRef;
  readonly output: string;
  readonly target: TargetRef;
  /** The target's value for the input; of `patch`, for the clean one. */
  readonly value: number;
  /** Of `patch`: the target's value for the corrupted input. */
  readonly corruptedValue?: number;
  readonly tables: readonly InterventionTable[];
  /** Single numbers by name. */
  readonly figures: Readonly<Record<string, number>>;
  readonly tokens?: readonly string[];
  readonly corruptedTokens?: readonly string[];
  readonly warnings: readonly string[];
  readonly runtime: RuntimeInfo;
}

/** One JSON document; what is not a number is null. */
export function serializeIntervention(measured: Intervention): string {
  return JSON.stringify(measured, (_key, value: unknown) =>
    value instanceof Float32Array || value instanceof Float64Array
      ? Array.from(value, (each) => (Number.isFinite(each) ? Number(each.toPrecision(8)) : null))
      : typeof value === 'number' && !Number.isFinite(value)
        ? null
        : value,
  );
}

/** The result that `serializeIntervention` wrote, null as NaN. Throws on broken JSON. */
export function parseIntervention(text: string): Intervention {
  return JSON.parse(text, (key, value: unknown) =>
    key === 'data' && Array.isArray(value)
      ? Float64Array.from(value, (each) => (typeof each === 'number' ? each : Number.NaN))
      : value,
  ) as Intervention;
}

export const axis = (name: string, labels: readonly (string | number)[]): TableAxis => ({
  name,
  labels: labels.map(String),
});

/** A table's numbers, to be filled cell by cell; NaN where nothing is. */
export function cells(rows: number, columns: number): Scores & { readonly data: Float64Array } {
  return { dims: [rows, columns], data: new Float64Array(rows * columns).fill(Number.NaN) };
}
