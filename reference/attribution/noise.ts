/**
 * Prints the random numbers that onnxray's noisy methods draw, as JSON, for the references to be computed with: Captum
 * draws its own, so that only with the same numbers do scores have to be equal. Read by make_fixtures.py.
 *
 *     npx tsx reference/attribution/noise.ts '{"seed": 0, "input": "x", "rows": 10, "size": 128}'
 *
 * noise: standard normal numbers of each row; positions: a number of [0, 1) for each row.
 */
import { seededNoise, seededRandom } from '../../src/inputs/core.ts';

const { seed, input, rows, size } = JSON.parse(process.argv[2]!) as Readonly<{
  seed: number;
  input: string;
  rows: number;
  size: number;
}>;
const [noise, random] = [seededNoise(seed), seededRandom(seed)];
console.log(
  JSON.stringify({
    noise: Array.from({ length: rows }, (_, row) => Array.from(noise(row, input, size))),
    positions: Array.from({ length: rows }, () => random()),
  }),
);
