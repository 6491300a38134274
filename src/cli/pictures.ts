/** Folders of pictures. */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { UserError, fileProblem } from '../onnx/index.ts';

const PICTURES = /\.(?:png|jpe?g|webp)$/i;

/** Throws a UserError for a place that cannot be asked about. */
export function isFolder(place: string): boolean {
  return reading(place, () => statSync(place, { throwIfNoEntry: false })?.isDirectory() === true);
}

/** The pictures of a folder, by name. Throws a UserError for a folder that cannot be read or has none. */
export function picturesIn(folder: string): readonly string[] {
  const names = reading(folder, () => readdirSync(folder));
  const pictures = names
    .filter((name) => PICTURES.test(name))
    .toSorted()
    .map((name) => path.join(folder, name))
    .filter((file) => !isFolder(file));
  if (pictures.length === 0) throw new UserError(`there is no PNG, JPEG or WebP picture in ${folder}`);
  return pictures;
}

function reading<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UserError(`cannot read ${place}: ${fileProblem(error)}`, { cause: error });
  }
}
