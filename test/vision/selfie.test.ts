import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { sumOfScores } from '../../src/explanation/index.ts';
import { photograph, repository } from '../folder.ts';
import { expectRefusal, onnxray, onnxrayJson } from '../cli/onnxray.ts';

let model: ExplainableModel;
beforeAll(async () => {
  model = await ExplainableModel.open(path.join(repository, 'zoo/image-selfie'), { cache: false });
});
afterAll(() => model.release());

test('a real segmentation model finds the cameraman: the region is surely a person, and a good part of the picture', async () => {
  const { explanation } = await model.explain(
    { image: photograph('cameraman.jpg') },
    { region: [150, 150], method: 'seg-xres-cam' },
  );
  const size = Number(/^person, region of (\d+)$/.exec(explanation.target.label)![1]);
  expect(explanation.value / size).toBeGreaterThan(0.9);
  expect(size / 256 ** 2).toBeGreaterThan(0.2);
  expect(size / 256 ** 2).toBeLessThan(0.5);
  expect(sumOfScores(explanation.attributions)).toBeGreaterThan(0);
});

test('grass is no person', async () => {
  const request = model.explain({ image: photograph('cameraman.jpg') }, { region: [480, 480], method: 'saliency' });
  await expect(request).rejects.toThrow(/the model sees nothing at --region: its answer there is 0\.0/);
});

test('the command line takes --region, refuses what is no pixel, and writes the map as .npy', async () => {
  const args = ['explain', 'zoo/image-selfie', '--image', photograph('cameraman.jpg'), '--method', 'grad-cam'];
  expectRefusal(
    await onnxray([...args, '--region', '12']),
    2,
    /--region takes a pixel of the picture such as "120,80", not "12"/,
  );
  expectRefusal(await onnxray([...args, '--box', '0']), 1, /the model's outputs are not as those of YOLOv5/);
  const { target } = await onnxrayJson<{ target: { label: string } }>([...args, '--region', '150,150']);
  expect(target.label).toMatch(/^person/);
});
