/** Interventions against PyTorch with hooks on the same weights (reference/attention/make_interventions.py), to 1e-4. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ablateEdges,
  ablateHeads,
  ablateLayers,
  ablateUniform,
  directAttribution,
  logitLens,
  patch,
} from '../../src/attention/index.ts';
import type { InterventionSubject, Intervention } from '../../src/attention/index.ts';
import { numbersToData } from '../../src/onnx/index.ts';
import type { DataType, DenseTensor } from '../../src/onnx/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';

interface Reference {
  readonly value: number;
  readonly corrupted: number;
  readonly [analysis: string]: unknown;
  readonly direct: { readonly parts: Readonly<Record<string, number>>; readonly heads: number[][] };
}

const FOLDER = path.join(import.meta.dirname, 'fixtures');
const read = (file: string): unknown => JSON.parse(readFileSync(path.join(FOLDER, file), 'utf8'));

/** One row of a fixture's inputs. */
function subjectOf(name: string, host: ModelHost, row: number): InterventionSubject {
  const { inputs } = read(`${name}.json`) as {
    inputs: Record<string, { type: DataType; dims: number[]; data: number[] }>;
  };
  const tensors = host.model.graph.inputs.map(({ name: input }): [string, DenseTensor] => {
    const { type, dims, data } = inputs[input]!;
    const size = data.length / dims[0]!;
    return [
      input,
      { type, dims: [1, ...dims.slice(1)], data: numbersToData(type, data.slice(row * size, (row + 1) * size)) },
    ];
  });
  return { inputs: Object.fromEntries(tensors) };
}

/** Of two-axis answers class 1; of three-axis ones token 5 at the last position. */
const target = ({ dims }: DenseTensor) =>
  dims.length === 2 ? { label: '1', indices: [1] } : { label: 'last,5', indices: [dims[1]! - 1, 5] };

/** A table's numbers by row; what is not there is left out. */
function rowsOf({ tables }: Intervention, table: number, measure: string): number[][] {
  const { dims, data } = tables[table]!.measures[measure]!;
  const [rows, columns] = dims as [number, number];
  return Array.from({ length: rows }, (_, row) =>
    Array.from(data.subarray(row * columns, (row + 1) * columns)).filter((each) => !Number.isNaN(each)),
  );
}

function expectClose(ours: readonly (readonly number[])[], theirs: readonly (readonly number[])[]): void {
  expect(ours.map((row) => row.length)).toEqual(theirs.map((row) => row.length));
  ours.forEach((row, i) =>
    row.forEach((value, j) => {
      const expected = theirs[i]![j]!;
      expect(Math.abs(value - expected), `${i}, ${j}: ${value} for ${expected}`).toBeLessThan(
        1e-4 * Math.max(1, Math.abs(expected)),
      );
    }),
  );
}

const shift = (rows: readonly (readonly number[])[], by: number) => rows.map((row) => row.map((each) => each - by));

describe.each(['bert-eager', 'bert-sdpa', 'gpt2-sdpa', 'gpt-neox-eager', 'llama-sdpa', 'vit-eager'])(
  '%s as in PyTorch with hooks:',
  (file) => {
    const name = file.replace(/-(eager|sdpa)$/, '');
    const reference = read(`interventions/${name}.json`) as Reference;
    const numbers = (key: string) => reference[key] as number[][];
    let host: ModelHost;
    let clean: InterventionSubject;
    let corrupted: InterventionSubject;
    beforeAll(async () => {
      host = await ModelHost.open(path.join(FOLDER, `${file}.onnx`), { cache: false, threads: 1 });
      [clean, corrupted] = [subjectOf(name, host, 0), subjectOf(name, host, 1)];
    });
    afterAll(() => host.release());

    test.each(['stream', 'heads', 'pattern', 'attention', 'mlp'] as const)('patching the %s', async (what) => {
      const found = await patch(host, { clean, corrupted, what, target });
      expectClose([[found.value, found.corruptedValue!]], [[reference.value, reference.corrupted]]);
      const theirs = shift(numbers(`patch ${what}`), reference.corrupted);
      expectClose(rowsOf(found, 0, 'difference'), theirs);
      const whole = reference.value - reference.corrupted;
      expectClose(
        rowsOf(found, 0, 'normalised'),
        theirs.map((row) => row.map((each) => each / whole)),
      );
    });

    test.each(['zero', 'mean'] as const)('a head replaced by %s', async (by) => {
      const found = await ablateHeads(host, { subject: clean, by, target });
      expectClose(rowsOf(found, 0, 'effect'), shift(numbers(`heads ${by}`), reference.value));
    });

    test('attention, MLP and layer taken out', async () => {
      const found = await ablateLayers(host, { subject: clean, target });
      expectClose(rowsOf(found, 0, 'effect'), shift(numbers('layers'), reference.value));
    });

    test.each([
      [true, 'edges'],
      [false, 'edges raw'],
    ] as const)('an edge cut, the rest scaled: %s', async (renormalize, key) => {
      const found = await ablateEdges(host, { subject: clean, renormalize, target });
      expectClose(rowsOf(found, 0, 'effect'), shift(numbers(key), reference.value));
    });

    test('uniform attention in a layer', async () => {
      const found = await ablateUniform(host, { subject: clean, target });
      const effects = rowsOf(found, 0, 'uniform').map(([effect]) => [effect!]);
      const theirs = (reference['uniform'] as number[]).map((value) => [value - reference.value]);
      expectClose(effects.slice(0, theirs.length), theirs);
    });

    test('the logit lens', async () => {
      const lens = numbers('lens');
      const classes = lens[0]!.length;
      for (const index of name === 'bert' || name === 'vit' ? [0, 1, 2] : [0, 5, 31]) {
        const found = await logitLens(host, {
          subject: clean,
          target: ({ dims }) => ({
            label: String(index),
            indices: dims.length === 2 ? [index] : [dims[1]! - 1, index],
          }),
        });
        expectClose(
          rowsOf(found, 0, 'logit').map((row) => [row.at(-1)!]),
          lens.map((row) => [row[index]!]),
        );
        const best = found.tables[0]!.texts!.filter(
          (_, cell) => (cell + 1) % found.tables[0]!.columns.labels.length === 0,
        );
        expect(best.map(Number)).toEqual(lens.map((row) => row.indexOf(Math.max(...row))));
        expect(classes).toBeGreaterThan(index);
      }
    });

    test('direct logit attribution', async () => {
      const found = await directAttribution(host, { subject: clean, target });
      const layers = found.tables[0]!.measures['contribution']!;
      const { parts, heads } = reference.direct;
      const part = (row: number, column: number) => layers.data[row * 3 + column]!;
      expectClose(
        [[part(0, 2), part(1, 0), part(1, 1), part(2, 0), part(2, 1)]],
        [[parts['start']!, parts['attention 0']!, parts['mlp 0']!, parts['attention 1']!, parts['mlp 1']!]],
      );
      expectClose(
        rowsOf(found, 1, 'contribution').map((row) => row.slice(0, -1)),
        heads,
      );
      // Where the head is linear the parts and the biases are the logit.
      if (name !== 'bert') expect(Math.abs(found.figures['gap']!)).toBeLessThan(1e-4);
      else expect(Math.abs(found.figures['gap']!)).toBeGreaterThan(1e-3);
    });
  },
);

test.each(['encoder', 'decoder'] as const)(
  'heads of a T5 %s, cross-attention included, as in PyTorch',
  async (stream) => {
    const reference = read('interventions/t5.json') as Reference;
    const host = await ModelHost.open(path.join(FOLDER, 't5-eager.onnx'), { cache: false, threads: 1 });
    try {
      const subject = subjectOf('t5', host, 0);
      const own = (rows: readonly unknown[]) => (stream === 'encoder' ? rows.slice(0, 2) : rows.slice(2));
      for (const by of ['zero', 'mean'] as const) {
        const found = await ablateHeads(host, { subject, by, target, stream });
        const theirs = own(reference[`heads ${by}`] as number[][]) as number[][];
        expectClose(rowsOf(found, 0, 'effect'), shift(theirs, reference.value));
        expect(found.tables[0]!.rows.labels).toEqual(stream === 'encoder' ? ['0', '1'] : ['0', '0 cross']);
      }
      const uniform = await ablateUniform(host, { subject, target, stream });
      const theirs = own(reference['uniform'] as number[]) as number[];
      expectClose(
        rowsOf(uniform, 0, 'uniform')
          .slice(0, 2)
          .map(([effect]) => [effect!]),
        theirs.map((value) => [value - reference.value]),
      );
    } finally {
      await host.release();
    }
  },
);
