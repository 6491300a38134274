/** Folders of pictures. */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { UserError, fileProblem } from '../onnx/index.ts';

const PICTURES = /\.(?:png|jpe?g|webp)$/i;

export const isFolder = (place: string): boolean => statSync(place, { throwIfNoEntry: false })?.isDirectory() === true;

/** The pictures of a folder, by name. Throws a UserError for a folder that cannot be read or has none. */
export function picturesIn(folder: string): readonly string[] {
  let names: readonly string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    throw new UserError(`cannot read ${folder}: ${fileProblem(error)}`, { cause: error });
  }
  const pictures = names.filter((name) => PICTURES.test(name)).toSorted();
  if (pictures.length === 0) throw new UserError(`there is no PNG, JPEG or WebP picture in ${folder}`);
  return pictures.map((name) => path.join(folder, name));
}
