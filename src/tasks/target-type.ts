/** What about an output is explained: one element, the difference of two, or a weighted sum of many. */
export interface Target {
  /** What a person would call it: a label, `3`, `spam - ham`, `sum(0:5,2)`. */
  readonly label: string;
  /** Index into the output after the batch axis; of a sum, its first place. */
  readonly indices: readonly number[];
  /** For a difference `a - b`: the index of `b`. */
  readonly minus?: readonly number[];
  /** Of a sum: its parts, which stand in place of `indices` and `minus`. */
  readonly terms?: readonly TargetTerm[];
  /** Where not the output itself is summed up but the (log-)probabilities its softmax over the last axis gives. */
  readonly scale?: 'log-probability' | 'probability';
}

/** All elements of a box, each with the same weight. */
export interface TargetTerm {
  readonly weight: number;
  /** Half-open range of each axis after the batch axis. */
  readonly box: readonly (readonly [number, number])[];
}

/** A term of a target over several outputs. */
export interface OutputTerm extends TargetTerm {
  readonly output: string;
}
