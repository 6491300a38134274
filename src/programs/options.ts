import { UsageError } from '../onnx/index.ts';

export type OptionValue = string | number | boolean | null;

/** What a method can be told, with its default; `null` stands for "the method decides". */
export type OptionSpec =
  | { readonly kind: 'integer'; readonly default: number | null; readonly min: number; readonly help: string }
  | { readonly kind: 'number'; readonly default: number | null; readonly above: number; readonly help: string }
  | { readonly kind: 'text'; readonly default: string; readonly help: string }
  | { readonly kind: 'choice'; readonly default: string; readonly choices: readonly string[]; readonly help: string }
  | { readonly kind: 'boolean'; readonly default: boolean; readonly help: string };

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
  for (const name of Object.keys(given))
    if (!names.includes(name))
      throw new UsageError(
        `${method} has no option "${name}"; ${names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`}`,
      );
  return Object.fromEntries(
    names.map((name) => [name, readOption(method, name, specs[name]!, given[name])]),
  ) as OptionsOf<S>;
}

function readOption(method: string, name: string, spec: OptionSpec, value: OptionValue | undefined): OptionValue {
  if (value === undefined || value === null) return spec.default;
  const refuse = (wanted: string): never => {
    throw new UsageError(`option ${name} of ${method} must be ${wanted}, not "${value}"`);
  };
  switch (spec.kind) {
    case 'integer': {
      const number = Number(value);
      return Number.isInteger(number) && number >= spec.min ? number : refuse(`a whole number of at least ${spec.min}`);
    }
    case 'number': {
      const number = Number(value);
      return Number.isFinite(number) && number > spec.above ? number : refuse(`a number above ${spec.above}`);
    }
    case 'text':
      return String(value);
    case 'choice':
      return spec.choices.includes(String(value)) ? String(value) : refuse(`one of ${spec.choices.join(', ')}`);
    case 'boolean':
      return value === true || value === 'true'
        ? true
        : value === false || value === 'false'
          ? false
          : refuse('true or false');
  }
}
