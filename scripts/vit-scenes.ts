/** Scenes for zoo/vit-emoji whose objects are known: two of its held-out drawings on a part of a photograph. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import type { OverlayOptions } from 'sharp';
import type { Mask } from '../src/evaluation/index.ts';
import { seededRandom } from '../src/inputs/index.ts';

const root = path.resolve(import.meta.dirname, '..');
const SIDE = 96;
/** Side of a drawing on the sheet. */
const CELL = 48;
/** Photographs that show none of the things; the model saw their left halves while it was trained, scenes lie on the right ones. */
const GROUNDS = ['coffee', 'palace', 'rocket', 'cameraman', 'flower'];

export interface Thing {
  readonly label: string;
  readonly index: number;
  /** Where it is drawn more than half opaque. */
  readonly mask: Mask;
}

/** A picture of 96 x 96 as PNG, with one thing in its left half and another in its right. */
export interface EmojiScene {
  readonly image: Uint8Array;
  readonly things: readonly [Thing, Thing];
}

/** Scenes by seed: which things, where, how large (34 to 46 pixels), and on what. */
export async function emojiScenes(count: number, seed: number): Promise<EmojiScene[]> {
  const folder = path.join(root, 'zoo/vit-emoji');
  const { id2label } = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8')) as {
    readonly id2label: Readonly<Record<string, string>>;
  };
  const labels = Object.values(id2label);
  const sheet = readFileSync(path.join(folder, 'drawings.png'));
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const scenes: EmojiScene[] = [];
  for (let at = 0; at < count; at++) {
    const ground = sharp(path.join(root, 'zoo/photographs', `${GROUNDS[at % GROUNDS.length]!}.jpg`)).toColourspace(
      'srgb',
    );
    const { width, height } = await ground.metadata();
    const side = Math.min(Math.floor(width / 2), height, 160 + below(100));
    const [left, top] = [
      Math.floor(width / 2) + below(width - Math.floor(width / 2) - side + 1),
      below(height - side + 1),
    ];
    const background = await ground
      .extract({ left, top, width: side, height: side })
      .resize(SIDE, SIDE)
      .png()
      .toBuffer();
    const first = below(labels.length);
    const second = (first + 1 + below(labels.length - 1)) % labels.length;
    const layers: OverlayOptions[] = [];
    const things: Thing[] = [];
    for (const [place, index] of [first, second].entries()) {
      const size = 34 + below(13);
      const [x, y] = [place * (SIDE / 2) + below(SIDE / 2 - size + 1), below(SIDE - size + 1)];
      const drawing = sharp(sheet).extract({ left: index * CELL, top: 0, width: CELL, height: CELL });
      const drawn = await drawing.png().toBuffer();
      const input = await sharp(drawn).resize(size, size).png().toBuffer();
      layers.push({ input, left: x, top: y });
      const opacity = await sharp(input).ensureAlpha().extractChannel(3).raw().toBuffer();
      const data = new Uint8Array(SIDE * SIDE);
      opacity.forEach((value, pixel) => {
        if (value > 127) data[(y + Math.floor(pixel / size)) * SIDE + x + (pixel % size)] = 1;
      });
      things.push({ label: labels[index]!, index, mask: { height: SIDE, width: SIDE, data } });
    }
    const image = await sharp(background).composite(layers).removeAlpha().png().toBuffer();
    scenes.push({ image, things: things as [Thing, Thing] });
  }
  return scenes;
}
