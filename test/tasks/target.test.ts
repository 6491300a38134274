import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/onnx/index.ts';
import type { DenseTensor } from '../../src/onnx/index.ts';
import { parseTarget, targetValue, targetWeights, topPredictions } from '../../src/tasks/index.ts';

const logits: DenseTensor = { type: 'float32', dims: [1, 3], data: Float32Array.of(0.5, 2, -1) };
const cube: DenseTensor = { type: 'float32', dims: [1, 2, 4], data: Float32Array.of(0, 1, 2, 3, 4, 9, 6, 7) };
const labels = ['ham', 'Spam', 'not-spam'];
const cats: DenseTensor = { type: 'float32', dims: [1, 4], data: new Float32Array(4) };
const catLabels = ['tabby, tabby cat', 'tiger cat', 'crane', 'crane'];

describe('parseTarget', () => {
  it.each<[string | undefined, ReturnType<typeof parseTarget>]>([
    [undefined, { label: 'Spam', indices: [1] }],
    ['', { label: 'Spam', indices: [1] }],
    ['ham', { label: 'ham', indices: [0] }],
    ['spam', { label: 'Spam', indices: [1] }],
    ['2', { label: 'not-spam', indices: [2] }],
    ['-1', { label: 'not-spam', indices: [2] }],
    ['not-spam', { label: 'not-spam', indices: [2] }],
    ['spam-ham', { label: 'Spam - ham', indices: [1], minus: [0] }],
    ['not-spam - ham', { label: 'not-spam - ham', indices: [2], minus: [0] }],
    ['ham-not-spam', { label: 'ham - not-spam', indices: [0], minus: [2] }],
    ['0-2', { label: 'ham - not-spam', indices: [0], minus: [2] }],
    ['ham-1', { label: 'ham - Spam', indices: [0], minus: [1] }],
  ])('reads %j', (spec, target) => {
    expect(parseTarget(spec, logits, labels)).toEqual(target);
  });

  it('takes the largest value and plain indices where there are no labels', () => {
    expect(parseTarget(undefined, logits)).toEqual({ label: '1', indices: [1] });
    expect(parseTarget(undefined, cube)).toEqual({ label: '1,1', indices: [1, 1] });
    expect(parseTarget('0,3', cube)).toEqual({ label: '0,3', indices: [0, 3] });
    expect(parseTarget('1,3-0,0', cube)).toEqual({ label: '1,3 - 0,0', indices: [1, 3], minus: [0, 0] });
  });

  it('looks at the first row only', () => {
    const two: DenseTensor = { type: 'float32', dims: [2, 2], data: Float32Array.of(1, 0, 5, 9) };
    expect(parseTarget(undefined, two).indices).toEqual([0]);
  });

  it('knows any of a label’s synonyms', () => {
    expect(parseTarget('tabby cat', cats, catLabels)).toEqual({ label: 'tabby, tabby cat', indices: [0] });
    expect(parseTarget('TABBY', cats, catLabels).indices).toEqual([0]);
    expect(parseTarget('tabby-tiger cat', cats, catLabels)).toMatchObject({ indices: [0], minus: [1] });
  });

  it.each<[string, DenseTensor, readonly string[] | undefined, string]>([
    ['spqm', logits, labels, 'unknown target "spqm"; nearest labels: "Spam", "ham", "not-spam"'],
    [
      'tigre cat',
      cats,
      catLabels,
      'unknown target "tigre cat"; nearest labels: "tiger cat", "tabby, tabby cat", "crane"',
    ],
    ['crane', cats, catLabels, 'label "crane" could be "crane" (2) or "crane" (3); give the index'],
    ['spam', logits, undefined, 'unknown target "spam": the model has no labels; give an index such as 3'],
    ['3', logits, labels, 'target "3" is out of range: the output has indices 0 to 2'],
    ['0-7', logits, labels, 'target "7" is out of range: the output has indices 0 to 2'],
    ['0,4', cube, undefined, 'target "0,4" is out of range: axis 2 of the output has indices 0 to 3'],
    ['1', cube, undefined, 'target "1" has 1 index, but the output takes 2 indices after the batch axis (dims 2 x 4)'],
    ['ham', cube, labels, 'label "ham" is not enough: the output has dims 2 x 4 after the batch axis; give indices'],
  ])('refuses %j in one line', (spec, output, names, message) => {
    expect(() => parseTarget(spec, output, names)).toThrow(new UserError(message));
  });
});

describe('targetWeights and targetValue', () => {
  it('pick the same number', () => {
    const target = parseTarget('1,2-0,1', cube);
    expect(targetValue(target, cube)).toBe(5);
    const seed = targetWeights(target, cube, 'y').data as Float32Array;
    expect([...seed]).toEqual([0, -1, 0, 0, 0, 0, 1, 0]);
  });

  it('agree for every target of every output', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
        fc.nat(),
        fc.nat(),
        (row, a, b) => {
          const size = row.reduce((product, dim) => product * dim, 1);
          const output: DenseTensor = {
            type: 'float32',
            dims: [1, ...row],
            data: Float32Array.from({ length: size }, (_, i) => i * i),
          };
          const place = (flat: number): number[] => {
            let rest = flat % size;
            return row
              .toReversed()
              .map((dim) => {
                const at = rest % dim;
                rest = Math.floor(rest / dim);
                return at;
              })
              .toReversed();
          };
          fc.pre(a % size !== b % size);
          const target = { label: '', indices: place(a), minus: place(b) };
          const seed = targetWeights(target, output, 'y').data as Float32Array;
          const dot = seed.reduce((sum, weight, i) => sum + weight * (output.data[i] as number), 0);
          expect(dot).toBe(targetValue(target, output));
        },
      ),
    );
  });

  it('read other rows and half floats', () => {
    const half: DenseTensor = { type: 'float16', dims: [2, 1], data: Uint16Array.of(0x3c00, 0xc000) };
    expect(targetValue({ label: '0', indices: [0] }, half, 1)).toBe(-2);
  });
});

describe('topPredictions', () => {
  it('gives the largest classes first, as probabilities if asked', () => {
    const raw = topPredictions(logits, labels, 2, false);
    expect(raw.map(({ label, index, value }) => [label, index, value])).toEqual([
      ['Spam', 1, 2],
      ['ham', 0, 0.5],
    ]);
    const all = topPredictions(logits, labels, 9, true);
    expect(all.reduce((sum, { value }) => sum + value, 0)).toBeCloseTo(1, 12);
    expect(all[0]!.label).toBe('Spam');
  });

  it('does not overflow on large logits', () => {
    const large: DenseTensor = { type: 'float32', dims: [1, 2], data: Float32Array.of(1000, 999) };
    expect(topPredictions(large, undefined, 1, true)[0]).toMatchObject({ label: '0', index: 0 });
    expect(topPredictions(large, undefined, 1, true)[0]!.value).toBeCloseTo(0.731, 3);
  });
});

describe('sums', () => {
  const value = (spec: string, output = cube, names?: readonly string[]) =>
    targetValue(parseTarget(spec, output, names), output);
  const cubeOf = (...at: readonly (readonly [number, number])[]) =>
    at.reduce((sum, [row, column]) => sum + Number(cube.data[row * 4 + column]), 0);
  const softmax = (row: number, column: number) => {
    const powers = [0, 1, 2, 3].map((each) => Math.exp(Number(cube.data[row * 4 + each])));
    return powers[column]! / powers.reduce((sum, each) => sum + each, 0);
  };

  it.each([
    ['sum(:,1)', cubeOf([0, 1], [1, 1])],
    ['sum(0:2,2:4)', cubeOf([0, 2], [0, 3], [1, 2], [1, 3])],
    ['mean(1,:)', cubeOf([1, 0], [1, 1], [1, 2], [1, 3]) / 4],
    ['sum(-1,-2:)', cubeOf([1, 2], [1, 3])],
    ['2*0,1 - 0.5*1,3', 2 * cubeOf([0, 1]) - 0.5 * cubeOf([1, 3])],
    ['sum(0,0:2) - mean(1,2:4)', cubeOf([0, 0], [0, 1]) - cubeOf([1, 2], [1, 3]) / 2],
    ['logprob(0,1) + logprob(1,3)', Math.log(softmax(0, 1)) + Math.log(softmax(1, 3))],
    ['logprob(:,2)', Math.log(softmax(0, 2)) + Math.log(softmax(1, 2))],
    ['prob(1,0) - prob(1,1)', softmax(1, 0) - softmax(1, 1)],
  ])('%s', (spec, expected) => {
    expect(value(spec)).toBeCloseTo(expected, 5);
  });

  it('take labels', () => {
    const [ham, spam] = [Number(logits.data[0]), Number(logits.data[1])];
    expect(value('2*spam - 0.5*ham', logits, labels)).toBeCloseTo(2 * spam - 0.5 * ham, 5);
    expect(parseTarget('logprob(spam)', logits, labels)).toMatchObject({ indices: [1], scale: 'log-probability' });
  });

  it.each([
    ['1,1-1,1', 'the target "1,1-1,1" is nothing: its parts take each other away'],
    ['sum(:,1) - sum(:,1)', 'the target "sum(:,1) - sum(:,1)" is nothing: its parts take each other away'],
    ['sum(0:3,1)', 'target "sum(0:3,1)": "0:3" is no range of axis 1, which has indices 0 to 1'],
    ['sum(1)', 'target "sum(1)": "1" has 1 of the 2 axes after the batch axis (dims 2 x 4)'],
    ['sum(1,2', 'target "sum(1,2": a parenthesis or bracket is missing'],
    ['sum(1,2) +', 'target "sum(1,2) +": something is missing beside "+" or "-"'],
    [
      'sum(0,1) + logprob(1,1)',
      'target "sum(0,1) + logprob(1,1)" adds up values on different scales: use one of sum and mean, logprob, or prob',
    ],
  ])('refuses %j in one line', (spec, message) => {
    expect(() => parseTarget(spec, cube)).toThrow(new UserError(message));
  });
});
