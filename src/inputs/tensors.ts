/** Tensors as people write them (`--inputs F.json`), checked against what the model takes. */
import { DATA_TYPES, firstNotFinite, sizeOf, UserError } from '../onnx/index.ts';
import type { DataType, DenseTensor, Dim, NamedTensors, TensorData, ValueInfo } from '../onnx/index.ts';
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from '../onnx/index.ts';

/**
 * Reads `{ "<input>": { "dims": [...], "type": "float32"|..., "data": [flat] }, ... }` and checks it with `checkTensors`.
 * `type` may be left out: then the model's own type is taken. float16 and bfloat16 values are written as numbers, bool as
 * true/false or 0/1, int64 beyond 2^53 as strings of digits.
 * @param text the JSON document.
 * @param source where it came from, for messages: a file name.
 * @param inputs what the model declares.
 * @param options `partial`: inputs may be left out.
 * @throws UserError for malformed JSON, unknown or missing inputs, wrong types or dims, values that don't fit.
 */
export function readTensors(
  text: string,
  source: string,
  inputs: readonly ValueInfo[],
  { partial = false }: { readonly partial?: boolean } = {},
): NamedTensors {
  const document = parseJson(text, source);
  if (!isRecord(document)) throw new UserError(`${source}: expected an object of inputs by name`);
  const tensors: Record<string, DenseTensor> = {};
  for (const [name, entry] of Object.entries(document)) {
    const info = inputs.find((input) => input.name === name);
    if (!info) throw unknownInput(name, inputs);
    tensors[name] = readTensor(entry, name, info.type);
  }
  checkTensors(tensors, partial ? inputs.filter(({ name }) => tensors[name] !== undefined) : inputs);
  return tensors;
}

/**
 * Checks that tensors are what the model takes: every input given and none besides, the model's types, ranks and fixed
 * dims, as many values as the dims say, and no NaN or Infinity.
 * @throws UserError naming the input.
 */
export function checkTensors(tensors: NamedTensors, inputs: readonly ValueInfo[]): void {
  for (const name of Object.keys(tensors))
    if (!inputs.some((input) => input.name === name)) throw unknownInput(name, inputs);
  for (const input of inputs) {
    const tensor = tensors[input.name];
    if (!tensor)
      throw new UserError(`input "${input.name}" is missing: the model needs ${input.type} ${shape(input.dims)}`);
    checkTensor(tensor, input);
  }
}

function checkTensor(tensor: DenseTensor, input: ValueInfo): void {
  const where = `input "${input.name}"`;
  if (tensor.type !== input.type)
    throw new UserError(`${where} has type ${tensor.type}, but the model takes ${input.type}`);
  const fits =
    input.dims === undefined ||
    (input.dims.length === tensor.dims.length &&
      input.dims.every((dim, axis) => typeof dim !== 'number' || dim === tensor.dims[axis]));
  if (!fits) throw new UserError(`${where} has dims ${shape(tensor.dims)}, but the model takes ${shape(input.dims)}`);
  const size = sizeOf(tensor.dims);
  if (tensor.data.length !== size)
    throw new UserError(`${where} has ${tensor.data.length} values, but dims ${shape(tensor.dims)} make ${size}`);
  const bad = notFinite(tensor);
  if (bad) throw new UserError(`${where} has ${bad.value} at index ${bad.index}; only finite numbers can be explained`);
}

function notFinite({ type, data }: DenseTensor): { index: number; value: number } | undefined {
  if (data instanceof Float32Array || data instanceof Float64Array) {
    const index = firstNotFinite(data);
    return index < 0 ? undefined : { index, value: data[index]! };
  }
  if (type !== 'float16' && type !== 'bfloat16') return undefined;
  const read = type === 'float16' ? fromFloat16 : fromBfloat16;
  const index = (data as Uint16Array).findIndex((word) => !Number.isFinite(read(word)));
  return index < 0 ? undefined : { index, value: read(data[index] as number) };
}

function readTensor(entry: unknown, name: string, modelType: DataType): DenseTensor {
  const where = `input "${name}"`;
  if (!isRecord(entry)) throw new UserError(`${where}: expected { "dims": [...], "type": "...", "data": [...] }`);
  const { dims, data, type = modelType } = entry;
  if (!isDataType(type)) throw new UserError(`${where}: unknown type ${JSON.stringify(type)}; use one of ${TYPES}`);
  if (!Array.isArray(dims) || !dims.every((dim): dim is number => Number.isSafeInteger(dim) && dim >= 0))
    throw new UserError(`${where}: "dims" must be a list of whole numbers, 0 or more`);
  if (!Array.isArray(data)) throw new UserError(`${where}: "data" must be a flat list of values`);
  const size = sizeOf(dims);
  if (data.length !== size)
    throw new UserError(`${where} has ${data.length} values, but dims ${shape(dims)} make ${size}`);
  return { type, dims, data: readData(data, type, where) };
}

function readData(values: readonly unknown[], type: DataType, where: string): TensorData {
  const into = <T extends { [index: number]: unknown }>(
    data: T,
    read: (value: unknown, index: number) => unknown,
  ): T => {
    for (let index = 0; index < values.length; index++) data[index] = read(values[index], index);
    return data;
  };
  const size = values.length;
  const whole = (low: number, high: number) => (value: unknown, index: number) =>
    Number(wholeNumber(value, index, BigInt(low), BigInt(high), type, where));
  switch (type) {
    case 'float32':
      return into(new Float32Array(size), finite(type, where, Math.fround));
    case 'float64':
      return into(
        new Float64Array(size),
        finite(type, where, (value) => value),
      );
    case 'float16':
      return into(new Uint16Array(size), finite16(where, type, toFloat16, fromFloat16));
    case 'bfloat16':
      return into(new Uint16Array(size), finite16(where, type, toBfloat16, fromBfloat16));
    case 'int8':
      return into(new Int8Array(size), whole(-128, 127));
    case 'uint8':
      return into(new Uint8Array(size), whole(0, 255));
    case 'int16':
      return into(new Int16Array(size), whole(-(2 ** 15), 2 ** 15 - 1));
    case 'uint16':
      return into(new Uint16Array(size), whole(0, 2 ** 16 - 1));
    case 'int32':
      return into(new Int32Array(size), whole(-(2 ** 31), 2 ** 31 - 1));
    case 'uint32':
      return into(new Uint32Array(size), whole(0, 2 ** 32 - 1));
    case 'int64':
      return into(new BigInt64Array(size), (value, index) =>
        wholeNumber(value, index, -(2n ** 63n), 2n ** 63n - 1n, type, where),
      );
    case 'uint64':
      return into(new BigUint64Array(size), (value, index) =>
        wholeNumber(value, index, 0n, 2n ** 64n - 1n, type, where),
      );
    case 'bool':
      return into(new Uint8Array(size), (value, index) => {
        if (value === true || value === 1) return 1;
        if (value === false || value === 0) return 0;
        throw new UserError(`${where} has ${show(value)} at index ${index}; bool takes true, false, 1 or 0`);
      });
    case 'string':
      return values.map((value, index) => {
        if (typeof value === 'string') return value;
        throw new UserError(`${where} has ${show(value)} at index ${index}; string takes text in quotes`);
      });
    default:
      throw new UserError(`${where}: values of type ${type} can't be given in a JSON file`);
  }
}

function finite(type: DataType, where: string, round: (value: number) => number) {
  return (value: unknown, index: number): number => {
    if (typeof value !== 'number')
      throw new UserError(`${where} has ${show(value)} at index ${index}; ${type} takes finite numbers only`);
    if (!Number.isFinite(round(value)))
      throw new UserError(`${where} has ${value} at index ${index}, which is too large for ${type}`);
    return value;
  };
}

function finite16(where: string, type: DataType, to: (value: number) => number, from: (word: number) => number) {
  const check = finite(type, where, (value) => from(to(value)));
  return (value: unknown, index: number): number => to(check(value, index));
}

function wholeNumber(value: unknown, index: number, low: bigint, high: bigint, type: DataType, where: string): bigint {
  const at = `${where} has ${show(value)} at index ${index}`;
  let whole: bigint;
  if (typeof value === 'number' && Number.isInteger(value)) {
    if (!Number.isSafeInteger(value))
      throw new UserError(`${at}, beyond 2^53 where JSON numbers lose digits; write it as a string of digits`);
    whole = BigInt(value);
  } else if (typeof value === 'string' && /^-?\d+$/.test(value)) whole = BigInt(value);
  else throw new UserError(`${at}; ${type} takes whole numbers only`);
  if (whole < low || whole > high) throw new UserError(`${at}; ${type} goes from ${low} to ${high}`);
  return whole;
}

/** JSON.parse, but NaN and Infinity (which Python writes) become strings, so that the check can name their place. */
function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    try {
      return JSON.parse(text.replaceAll(/(?<=[[,:\s])(?:NaN|-?Infinity)(?=[\],}\s])/g, '"$&"'));
    } catch {
      throw new UserError(`${source} is not valid JSON: ${(error as Error).message}`, { cause: error });
    }
  }
}

const TYPES = DATA_TYPES.filter((type) => !/complex|float8|float4|int[24]$/.test(type)).join(', ');

function unknownInput(name: string, inputs: readonly ValueInfo[]): UserError {
  const known = inputs.map((input) => `"${input.name}"`).join(', ');
  return new UserError(`the model has no input "${name}"; its inputs are ${known || 'none'}`);
}

function shape(dims: readonly Dim[] | undefined): string {
  return dims === undefined ? 'of any shape' : `[${dims.map((dim) => dim ?? '?').join(', ')}]`;
}

function show(value: unknown): string {
  const text =
    typeof value === 'string' && /^(?:NaN|-?Infinity)$/.test(value) ? value : (JSON.stringify(value) ?? 'nothing');
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}

function isDataType(type: unknown): type is DataType {
  return (DATA_TYPES as readonly unknown[]).includes(type);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
