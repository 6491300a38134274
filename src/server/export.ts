import { cp, mkdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../onnx/index.ts';
import { pageFolder, zooFolder } from './files.ts';

/**
 * Writes the studio as a folder of files that any file server can serve: models run in the browser. Overwrites files of the
 * same names there. Throws a UserError when the page is not built.
 */
export async function exportSite(folder: string): Promise<void> {
  if (!existsSync(path.join(pageFolder(), 'index.html')))
    throw new UserError('the page is not built: run npm run build');
  await mkdir(folder, { recursive: true });
  await cp(pageFolder(), folder, { recursive: true });
  for (const name of ['text-spam', 'image-imagenet'])
    await cp(path.join(zooFolder(), name), path.join(folder, 'models', name), { recursive: true });
  await cp(path.join(zooFolder(), 'photographs'), path.join(folder, 'pictures'), { recursive: true });
}
