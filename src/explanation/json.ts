import type { Explanation, Scores } from './explanation.ts';

/**
 * The explanation as one JSON document; scores are flat arrays with their dims.
 * Throws an Error for NaN and infinities, which JSON cannot hold: they would silently become null.
 */
export function serializeExplanation(explanation: Explanation): string {
  const attributions = Object.fromEntries(
    Object.entries(explanation.attributions).map(([name, scores]) => [
      name,
      {
        dims: scores.dims,
        type: scores.data instanceof Float64Array ? 'float64' : 'float32',
        data: toJsonNumbers(scores),
      },
    ]),
  );
  return JSON.stringify({ ...explanation, attributions }, (key, value: unknown) => {
    if (typeof value === 'number' && !Number.isFinite(value))
      throw new Error(`an explanation cannot hold ${value} (at "${key}")`);
    return value;
  });
}

/** float32 scores are printed with the fewest digits that read back to the same float32. */
function toJsonNumbers({ data }: Scores): number[] {
  if (data instanceof Float64Array) return Array.from(data);
  return Array.from(data, (value) => {
    const short = Number(value.toPrecision(7));
    return Math.fround(short) === value ? short : Number(value.toPrecision(9));
  });
}

/**
 * Reads what `serializeExplanation` wrote.
 * Throws an Error that names the missing or malformed field.
 */
export function parseExplanation(json: string): Explanation {
  const document: unknown = JSON.parse(json);
  if (!isRecord(document)) throw new Error('an explanation is a JSON object');
  for (const field of [
    'method',
    'options',
    'model',
    'output',
    'target',
    'value',
    'attributions',
    'runtime',
    'warnings',
  ])
    if (!(field in document)) throw new Error(`not an explanation: the field "${field}" is missing`);
  if (!isRecord(document['attributions'])) throw new Error('not an explanation: "attributions" is not an object');
  const attributions = Object.fromEntries(
    Object.entries(document['attributions']).map(([name, scores]) => [name, parseScores(name, scores)]),
  );
  return { ...document, attributions } as unknown as Explanation;
}

function parseScores(name: string, value: unknown): Scores {
  if (!isRecord(value) || !isNumbers(value['dims']) || !isNumbers(value['data']))
    throw new Error(`not an explanation: "attributions.${name}" needs number arrays "dims" and "data"`);
  const { dims, data } = value;
  const size = dims.reduce((product, dim) => product * dim, 1);
  if (size !== data.length)
    throw new Error(
      `not an explanation: "attributions.${name}" has ${data.length} scores for dims [${dims.join(', ')}]`,
    );
  return { dims, data: value['type'] === 'float64' ? Float64Array.from(data) : Float32Array.from(data) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'number');
}
