import { cp, readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { serializeExplanation } from '../explanation/index.ts';
import { UserError, unwritable } from '../onnx/index.ts';
import { makeFolder } from '../runtime/index.ts';
import { pageFolder, zooFolder } from './files.ts';
import { sitePolicy } from './guard.ts';
import { readHub } from './hub.ts';
import { EMBEDDED, FIRST_METHOD, ModelLibrary } from './models.ts';

/**
 * Writes the studio as a folder of files that any file server can serve: models run in the browser. `studio.json` lists them,
 * with the page's first question answered here and now by the same model file: what is shown until the browser has
 * answered it itself. `hub`: where the page fetches models by their names; default the Hugging Face hub.
 * Overwrites files of the same names there. Throws a UserError when the page is not built or the folder cannot be written.
 */
export async function exportSite(folder: string, { hub }: { readonly hub?: string } = {}): Promise<void> {
  const fetchedFrom = readHub(hub);
  if (!existsSync(path.join(pageFolder(), 'index.html')))
    throw new UserError('the page is not built: run npm run build');
  const list = await siteList(fetchedFrom);
  try {
    await makeFolder(path.resolve(folder));
    await cp(pageFolder(), folder, { recursive: true });
    for (const name of EMBEDDED)
      await cp(path.join(zooFolder(), name), path.join(folder, 'models', name), { recursive: true });
    await cp(path.join(zooFolder(), 'photographs'), path.join(folder, 'pictures'), { recursive: true });
    const page = path.join(folder, 'index.html');
    const policy = `<meta http-equiv="Content-Security-Policy" content="${sitePolicy(fetchedFrom)}" />`;
    await writeFile(page, (await readFile(page, 'utf8')).replace(/(<meta charset="[^"]*" *\/?>)/, `$1\n    ${policy}`));
    await writeFile(path.join(folder, 'studio.json'), list);
  } catch (error) {
    throw unwritable(folder, error);
  }
}

/** What the page of a site starts from. */
async function siteList(hub: string): Promise<string> {
  const library = new ModelLibrary({});
  try {
    for (const name of EMBEDDED) library.add(path.join(zooFolder(), name), 'embedded', name, name);
    const [first] = library.list();
    const [text] = first!.texts;
    const model = await library.open(first!.id);
    const { explanation } = await model.explain({ text: text! }, { method: FIRST_METHOD });
    const answer = {
      model: first!.id,
      text,
      method: FIRST_METHOD,
      explanation: JSON.parse(serializeExplanation(explanation)),
    };
    return JSON.stringify({ models: library.list(), first: answer, hub });
  } finally {
    await library.close();
  }
}
