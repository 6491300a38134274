import type { Plane, Superpixels } from './superpixels.ts';

const ROUNDS = 10;

/**
 * SLIC: k-means of pixels by colour and place, each centre looking only two steps of the grid around itself; then what does
 * not hang together with its centre's region goes to a neighbour. About `count` superpixels; the same for the same picture.
 * Achanta et al. 2012, https://doi.org/10.1109/TPAMI.2012.120, on the model's own values, whose range is brought to that of
 * the paper's colours (100).
 * @param picture [channels, height, width]. @param compactness weight of place against colour; the paper's 10.
 */
export function slic(
  picture: Float32Array,
  { channels, height, width }: Plane,
  count: number,
  compactness = 10,
): Superpixels {
  const area = height * width;
  let [low, high] = [Infinity, -Infinity];
  for (const value of picture) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const scale = 100 / Math.max(1e-12, high - low);
  const rows = Math.max(1, Math.min(height, Math.round(Math.sqrt((count * height) / width))));
  const columns = Math.max(1, Math.min(width, Math.round(count / rows)));
  const step = Math.max(height / rows, width / columns);
  const size = channels + 2;
  const centres = new Float64Array(rows * columns * size);
  for (let at = 0; at < rows * columns; at++) {
    const y = ((Math.floor(at / columns) + 0.5) * height) / rows;
    const x = (((at % columns) + 0.5) * width) / columns;
    const pixel = Math.floor(y) * width + Math.floor(x);
    for (let c = 0; c < channels; c++) centres[at * size + c] = picture[c * area + pixel]! * scale;
    centres.set([y, x], at * size + channels);
  }
  const labels = new Int32Array(area);
  const distances = new Float64Array(area);
  const near = (compactness / step) ** 2;
  for (let round = 0; round < ROUNDS; round++) {
    distances.fill(Infinity);
    for (let at = 0; at < rows * columns; at++) {
      const [cy, cx] = [centres[at * size + channels]!, centres[at * size + channels + 1]!];
      const [top, bottom] = [Math.max(0, Math.floor(cy - step)), Math.min(height, Math.ceil(cy + step))];
      const [left, right] = [Math.max(0, Math.floor(cx - step)), Math.min(width, Math.ceil(cx + step))];
      for (let y = top; y < bottom; y++)
        for (let x = left; x < right; x++) {
          const pixel = y * width + x;
          let distance = near * ((y + 0.5 - cy) ** 2 + (x + 0.5 - cx) ** 2);
          for (let c = 0; c < channels; c++)
            distance += (picture[c * area + pixel]! * scale - centres[at * size + c]!) ** 2;
          if (distance < distances[pixel]!) {
            distances[pixel] = distance;
            labels[pixel] = at;
          }
        }
    }
    const [sums, counts] = [new Float64Array(centres.length), new Float64Array(rows * columns)];
    for (let pixel = 0; pixel < area; pixel++) {
      const at = labels[pixel]!;
      counts[at]!++;
      for (let c = 0; c < channels; c++) sums[at * size + c]! += picture[c * area + pixel]! * scale;
      sums[at * size + channels]! += Math.floor(pixel / width) + 0.5;
      sums[at * size + channels + 1]! += (pixel % width) + 0.5;
    }
    for (let at = 0; at < counts.length; at++)
      if (counts[at]! > 0) for (let k = 0; k < size; k++) centres[at * size + k] = sums[at * size + k]! / counts[at]!;
  }
  return connect(labels, height, width, area / (rows * columns) / 4);
}

/** Renumbers connected pieces; a piece smaller than `least` joins the piece to its left or above. */
function connect(labels: Int32Array, height: number, width: number, least: number): Superpixels {
  const result = new Int32Array(labels.length).fill(-1);
  const centres: [number, number][] = [];
  for (let start = 0; start < labels.length; start++) {
    if (result[start]! >= 0) continue;
    const number = centres.length;
    const piece = [start];
    result[start] = number;
    for (let next = 0; next < piece.length; next++) {
      const pixel = piece[next]!;
      const column = pixel % width;
      for (const other of [
        pixel >= width ? pixel - width : -1,
        pixel + width < height * width ? pixel + width : -1,
        column > 0 ? pixel - 1 : -1,
        column + 1 < width ? pixel + 1 : -1,
      ])
        if (other >= 0 && result[other]! < 0 && labels[other] === labels[start]) {
          result[other] = number;
          piece.push(other);
        }
    }
    const before = start % width > 0 ? result[start - 1]! : start >= width ? result[start - width]! : -1;
    if (piece.length < least && before >= 0) for (const pixel of piece) result[pixel] = before;
    else {
      let [y, x] = [0, 0];
      for (const pixel of piece) {
        y += Math.floor(pixel / width) / piece.length;
        x += (pixel % width) / piece.length;
      }
      centres.push([y, x]);
    }
  }
  return { labels: result, centres };
}
