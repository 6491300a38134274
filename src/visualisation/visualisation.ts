/** The one result of this room: pictures of what a model's units look for, with how they came about. */
import type { ModelRef, RuntimeInfo } from '../explanation/index.ts';
import type { Rectangle } from '../inputs/core.ts';
import { UserError } from '../onnx/index.ts';

/** 8-bit RGB, row by row. */
export interface UnitPicture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
  /** What the unit says to it: the channel's mean, the place's value, the largest of a channel for a patch; of an inversion minus the distance. */
  readonly value: number;
  /** Of a picture that was found: the value of the noise it began with. */
  readonly startValue?: number;
  /** Of a patch: where it is from. */
  readonly source?: PatchSource;
}

export interface PatchSource {
  /** The picture's file, where it was one. */
  readonly path?: string;
  /** Row and column of the place in the layer; where it has none, which of its elements. */
  readonly position: readonly number[];
  /** What the place sees, in pixels of the picture. */
  readonly box: Rectangle;
}

/** A unit of a model: a channel, a neuron, a class, a direction. */
export interface VisualisedUnit {
  readonly label: string;
  /** After the batch axis; of a channel its number alone. Empty for a direction or a whole layer. */
  readonly indices: readonly number[];
  readonly pictures: readonly UnitPicture[];
}

export interface Visualisation {
  readonly method: 'feature-visualisation' | 'inversion' | 'top-patches';
  /** Every option used, defaults included. */
  readonly options: Readonly<Record<string, string | number | boolean | null>>;
  readonly model: ModelRef;
  /** Path of the layer, or the output's name. */
  readonly layer: string;
  readonly units: readonly VisualisedUnit[];
  /** One sentence each. */
  readonly warnings: readonly string[];
  readonly runtime: RuntimeInfo;
}

/** As one JSON document; pixels are flat lists of bytes. Throws a UserError for a value that is no number. */
export function serializeVisualisation(visualisation: Visualisation): string {
  return JSON.stringify(visualisation, (key, value: unknown) => {
    if (value instanceof Uint8Array) return Array.from(value);
    if (typeof value === 'number' && !Number.isFinite(value))
      throw new UserError(`the visualisation holds ${value} (at "${key}"): the model overflows on it`);
    return value;
  });
}
