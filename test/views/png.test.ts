import * as fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { encodePng } from '../../src/views/index.ts';

describe('our PNG files', () => {
  it('hold the pixels that went in', async () => {
    const picture = fc
      .tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }))
      .chain(([width, height]) =>
        fc.record({
          width: fc.constant(width),
          height: fc.constant(height),
          data: fc.uint8Array({ minLength: width * height * 4, maxLength: width * height * 4 }),
        }),
      );
    await fc.assert(
      fc.asyncProperty(picture, async ({ width, height, data }) => {
        const { data: pixels, info } = await sharp(await encodePng({ width, height, data: data }))
          .raw()
          .toBuffer({ resolveWithObject: true });
        expect(info).toMatchObject({ width, height, channels: 3 });
        expect(Array.from(pixels)).toEqual(Array.from(data).filter((_, at) => at % 4 !== 3));
      }),
      { numRuns: 50 },
    );
  });

  it('are hardly larger than those of a tool made for it', async () => {
    const [width, height] = [200, 150];
    const data = new Uint8Array(width * height * 4);
    for (let at = 0; at < data.length; at++) data[at] = 128 + 100 * Math.sin(at / 3000) * Math.cos((at % 800) / 90);
    const theirs = await sharp(data, { raw: { width, height, channels: 4 } })
      .removeAlpha()
      .png({ compressionLevel: 9 })
      .toBuffer();
    expect((await encodePng({ width, height, data })).length).toBeLessThan(1.2 * theirs.length);
  });
});
