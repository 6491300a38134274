import type { DrawableGraph, Inspection } from '../inspection/index.ts';
import type { Method } from '../programs/index.ts';
import type { Task } from '../tasks/core.ts';

/** What a list of models says of one before it is opened. */
export interface ModelSummary {
  readonly id: string;
  /** For people; may hold anything, since dropped files name themselves. */
  readonly name: string;
  /** Comes along, was named at the start, was dropped on the page, or fetched from the hub by its name. */
  readonly origin: 'embedded' | 'given' | 'dropped' | 'hub';
  readonly task: Task;
  /** Size of the model file. */
  readonly bytes: number;
  readonly labels: readonly string[];
  /** Texts to start with. */
  readonly texts: readonly string[];
  /** Addresses of pictures to start with. */
  readonly pictures: readonly string[];
}

/** What a page lists of a method. */
export type MethodSummary = Pick<Method, 'name' | 'summary' | 'layers' | 'usesBaseline'>;

export function summarizeMethod({ name, summary, layers, usesBaseline }: Method): MethodSummary {
  return { name, summary, layers, usesBaseline };
}

/** What a model is, with its graph to draw. */
export interface Inspected {
  readonly inspection: Inspection;
  readonly graph: DrawableGraph;
}
