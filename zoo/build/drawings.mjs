// Draws the things that zoo/vit-emoji names, in the styles of seven free emoji sets, as published in npm packages of @iconify-json.
//
//     node zoo/build/drawings.mjs CACHE
//
// CACHE: a folder outside the repository; packages are fetched into it (`npm pack`), and CACHE/drawings/SET/THING.png come out,
// 96 x 96 with transparency. Needs nothing but the repository's own sharp. A thing that a set does not have is left out.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';

const SIDE = 96;

/** Sets, their versions; the licence of each stands in zoo/vit-emoji/CARD.md. */
const SETS = {
  noto: '1.2.9',
  'noto-v1': '1.2.5',
  'fluent-emoji': '1.2.7',
  'fluent-emoji-flat': '1.2.6',
  fxemoji: '1.2.2',
  emojione: '1.2.3',
  twemoji: '1.2.5',
};

const THINGS = [
  'cat-face',
  'dog-face',
  'elephant',
  'penguin',
  'turtle',
  'octopus',
  'butterfly',
  'spider',
  'banana',
  'cherries',
  'strawberry',
  'pineapple',
  'airplane',
  'bicycle',
  'guitar',
  'soccer-ball',
];

/** What a set calls a thing otherwise. */
const OTHERWISE = { fxemoji: { 'cat-face': 'cat', 'dog-face': 'dog' } };

function fetched(cache, set) {
  const folder = path.join(cache, 'icons', set);
  const file = path.join(folder, 'package/icons.json');
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    const name = execFileSync('npm', ['pack', '--silent', `@iconify-json/${set}@${SETS[set]}`], {
      cwd: folder,
      encoding: 'utf8',
    });
    execFileSync('tar', ['xf', name.trim()], { cwd: folder });
  }
  return JSON.parse(readFileSync(file, 'utf8'));
}

async function main(cache) {
  for (const set of Object.keys(SETS)) {
    const { icons, aliases = {}, width = 16, height = 16 } = fetched(cache, set);
    // Sets differ in hyphens only: light-bulb, lightbulb.
    const names = new Map(
      [...Object.keys(icons), ...Object.keys(aliases)].map((name) => [name.replaceAll('-', ''), name]),
    );
    const folder = path.join(cache, 'drawings', set);
    mkdirSync(folder, { recursive: true });
    const missing = [];
    for (const thing of THINGS) {
      const found = names.get(thing.replaceAll('-', '')) ?? OTHERWISE[set]?.[thing];
      const icon = icons[found] ?? icons[aliases[found]?.parent];
      if (!icon) {
        missing.push(thing);
        continue;
      }
      const [w, h] = [icon.width ?? width, icon.height ?? height];
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 ${w} ${h}" width="${SIDE * 4}" height="${SIDE * 4}">${icon.body}</svg>`;
      const drawn = await sharp(Buffer.from(svg))
        .ensureAlpha()
        .trim({ background: '#00000000', threshold: 1 })
        .png()
        .toBuffer();
      await sharp(drawn)
        .resize(SIDE, SIDE, { fit: 'contain', background: '#00000000' })
        .png()
        .toFile(path.join(folder, `${thing}.png`));
    }
    console.log(
      `${set}: ${THINGS.length - missing.length} of ${THINGS.length}${missing.length > 0 ? `, without ${missing.join(', ')}` : ''}`,
    );
  }
}

const [cache] = process.argv.slice(2);
if (!cache) throw new Error('usage: node zoo/build/drawings.mjs CACHE');
await main(path.resolve(cache));
