/** Flow through a long text takes minutes: meanwhile the thread is free for others, and it can be stopped. */
import path from 'node:path';
import { expect, test } from 'vitest';
import { flow } from '../../src/attention/index.ts';
import { ExplainableModel } from '../../src/attribution/index.ts';

const ZOO = path.resolve(import.meta.dirname, '../../zoo/text-spam');

test('flow gives way to whatever else there is to do, says how far it is, and stops when told to', async () => {
  const model = await ExplainableModel.open(ZOO);
  const { tensors } = await model.encode({ text: 'one two three four five six seven eight nine ten '.repeat(8) });
  const pairs = tensors['input_ids']!.dims[1]! ** 2;
  const controller = new AbortController();
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const told: [number, number][] = [];
  const asked = flow(model.host, tensors, {
    signal: controller.signal,
    onProgress: (done, total) => {
      told.push([done, total]);
      if (told.length === 5) turns = 0;
      if (told.length === 25) controller.abort(new Error('enough'));
    },
  });
  await expect(asked).rejects.toThrow('enough');
  clearInterval(timer);
  expect(turns).toBeGreaterThan(5);
  expect(told.at(-1)![1]).toBe(pairs);
  expect(told.at(-1)![0]).toBeLessThan(pairs);
  await model.release();
});
