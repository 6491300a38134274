/**
 * Protobuf messages of which some fields are bytes that are there already. An encoder copies such bytes once for each message
 * they stand in, a weight three times; these are put together once, at the end.
 */

/** Parts of a message, one behind the other. */
export type Parts = readonly Uint8Array[];

/** A field of bytes, text or a message, by its number. */
export function field(number: number, parts: Parts): Parts {
  return [Uint8Array.from([...varint(number * 8 + LENGTH_DELIMITED), ...varint(lengthOf(parts))]), ...parts];
}

const LENGTH_DELIMITED = 2;

export function joined(parts: Parts): Uint8Array {
  const all = new Uint8Array(lengthOf(parts));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const lengthOf = (parts: Parts): number => parts.reduce((sum, { length }) => sum + length, 0);

/** Seven bits a byte, the lowest first; by division, since lengths may exceed 31 bits. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return [...bytes, value];
}
