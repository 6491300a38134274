/** Pixels to the bytes of a PNG file, in any place that has CompressionStream. */
import type { RgbaImage } from './image-overlay.ts';

/** Makes PNG bytes of an image. */
export type PngEncoder = (image: RgbaImage) => Promise<Uint8Array>;

/** Draws an SVG document, `density` pixels to the user unit (default 2), as the bytes of a PNG file. */
export type Rasterizer = (svg: string, density?: number) => Promise<Uint8Array>;

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const CHANNELS = 3;

/** An 8-bit RGB file; alpha is left aside, since our pictures have none. Rows are filtered by the usual rule of thumb. */
export const encodePng: PngEncoder = async ({ width, height, data }) => {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  // 8 bits, RGB, the one compression, the one set of filters, not interlaced.
  [8, 2, 0, 0, 0].forEach((value, at) => header.setUint8(8 + at, value));
  const body = await deflate(filterRows(rgbOf(data), width * CHANNELS, height));
  const parts = [
    Uint8Array.from(SIGNATURE),
    chunk('IHDR', new Uint8Array(header.buffer)),
    chunk('IDAT', body),
    chunk('IEND', new Uint8Array(0)),
  ];
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
};

function rgbOf(rgba: Uint8Array | Uint8ClampedArray): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * CHANNELS);
  for (let from = 0, to = 0; from < rgba.length; from += 4)
    for (let c = 0; c < CHANNELS; c++) rgb[to++] = rgba[from + c]!;
  return rgb;
}

/** What each filter of the format predicts a byte to be, from the one to the left, above, and above left. */
const FILTERS: readonly ((left: number, above: number, corner: number) => number)[] = [
  () => 0,
  (left) => left,
  (_left, above) => above,
  (left, above) => (left + above) >> 1,
  (left, above, corner) => {
    const [toLeft, toAbove, toCorner] = [
      Math.abs(above - corner),
      Math.abs(left - corner),
      Math.abs(left + above - 2 * corner),
    ];
    if (toLeft <= toAbove && toLeft <= toCorner) return left;
    return toAbove <= toCorner ? above : corner;
  },
];

/** Each row by the filter that leaves the smallest sum of differences, its number in front. */
function filterRows(pixels: Uint8Array, stride: number, height: number): Uint8Array {
  const out = new Uint8Array((stride + 1) * height);
  const candidate = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    let best = Infinity;
    const start = y * stride;
    FILTERS.forEach((predict, filter) => {
      let sum = 0;
      for (let x = 0; x < stride; x++) {
        const left = x < CHANNELS ? 0 : pixels[start + x - CHANNELS]!;
        const above = y === 0 ? 0 : pixels[start + x - stride]!;
        const corner = x < CHANNELS || y === 0 ? 0 : pixels[start + x - stride - CHANNELS]!;
        const difference = (pixels[start + x]! - predict(left, above, corner)) & 255;
        candidate[x] = difference;
        sum += difference < 128 ? difference : 256 - difference;
      }
      if (sum >= best) return;
      best = sum;
      out[y * (stride + 1)] = filter;
      out.set(candidate, y * (stride + 1) + 1);
    });
  }
  return out;
}

async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(type: string, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(content.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(content, 8);
  view.setUint32(content.length + 8, crc32(bytes.subarray(4, content.length + 8)));
  return bytes;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 255]! ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** `data:image/png;base64,...` */
export function dataUri(png: Uint8Array): string {
  let binary = '';
  for (let i = 0; i < png.length; i += 0x8000) binary += String.fromCharCode(...png.subarray(i, i + 0x8000));
  return `data:image/png;base64,${btoa(binary)}`;
}
