import { UsageError } from '../onnx/index.ts';

export type OptionValue = string | number | boolean | null;

interface Described {
  readonly help: string;
  /** What other libraries call it. */
  readonly aliases?: readonly string[];
}

interface Choice extends Described {
  readonly kind: 'choice';
  readonly default: string;
  readonly choices: readonly string[];
  /** What other libraries call the choices. */
  readonly synonyms?: Readonly<Record<string, string>>;
}

/** What a method can be told, with its default; `null` stands for "the method decides". */
export type OptionSpec =
  | (Described & { readonly kind: 'integer'; readonly default: number | null; readonly min: number })
  | (Described & {
      readonly kind: 'number';
      readonly default: number | null;
      readonly above: number;
      /** The largest allowed. */
      readonly max?: number;
    })
  | (Described & { readonly kind: 'text'; readonly default: string })
  | Choice
  | (Described & { readonly kind: 'boolean'; readonly default: boolean });

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** The type of the options a set of specs describes. */
export type OptionsOf<S extends OptionSpecs> = {
  readonly [K in keyof S]: S[K] extends { kind: 'choice'; choices: readonly (infer C)[] }
    ? C
    : S[K] extends { kind: 'boolean' }
      ? boolean
      : S[K] extends { kind: 'text' }
        ? string
        : S[K] extends { default: number }
          ? number
          : number | null;
};

/** All options of a method, defaults filled in. Throws a UsageError for an unknown name or a value out of range. */
export function readOptions<S extends OptionSpecs>(
  method: string,
  specs: S,
  given: Readonly<Record<string, OptionValue>>,
): OptionsOf<S> {
  const names = Object.keys(specs);
  const values: Record<string, OptionValue> = {};
  for (const [key, value] of Object.entries(given)) {
    const name = names.includes(key) ? key : names.find((each) => specs[each]!.aliases?.includes(key));
    if (name === undefined)
      throw new UsageError(
        `${method} has no option "${key}"; ${names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`}`,
      );
    if (values[name] !== undefined) throw new UsageError(`option ${name} of ${method} is given twice`);
    values[name] = value;
  }
  return Object.fromEntries(
    names.map((name) => [name, readOption(method, name, specs[name]!, values[name])]),
  ) as OptionsOf<S>;
}

function readOption(method: string, name: string, spec: OptionSpec, value: OptionValue | undefined): OptionValue {
  if (value === undefined || value === null) return spec.default;
  const refuse = (wanted: string): never => {
    throw new UsageError(`option ${name} of ${method} must be ${wanted}, not "${value}"`);
  };
  switch (spec.kind) {
    case 'integer': {
      const number = numberOf(value);
      return Number.isInteger(number) && number >= spec.min ? number : refuse(`a whole number of at least ${spec.min}`);
    }
    case 'number': {
      const { above, max = Infinity } = spec;
      const number = numberOf(value);
      const range = max === Infinity ? '' : ` and at most ${max}`;
      return Number.isFinite(number) && number > above && number <= max
        ? number
        : refuse(`a number above ${above}${range}`);
    }
    case 'text':
      return String(value);
    case 'choice': {
      const choice = spec.synonyms?.[String(value)] ?? String(value);
      return spec.choices.includes(choice) ? choice : refuse(`one of ${spec.choices.join(', ')}`);
    }
    case 'boolean':
      return value === true || value === 'true'
        ? true
        : value === false || value === 'false'
          ? false
          : refuse('true or false');
  }
}

/** A number, or a text that is one; NaN for anything else, an empty text too. */
function numberOf(value: OptionValue): number {
  return typeof value === 'number' || (typeof value === 'string' && value.trim() !== '') ? Number(value) : Number.NaN;
}
