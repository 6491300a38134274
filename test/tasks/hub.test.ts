import { afterEach, describe, expect, it } from 'vitest';
import { fetchHubFile, findHubModel } from '../../src/tasks/index.ts';
import { SPAM, spamRepository, startHub } from '../fake-hub.ts';
import type { FakeHub } from '../fake-hub.ts';

let hub: FakeHub | undefined;
afterEach(() => hub?.close());

describe('a model by its name on the hub', () => {
  it('is its .onnx file with the JSON files that are there, and nothing else', async () => {
    hub = await startHub({ [SPAM]: spamRepository() });
    const { files, bytes } = await findHubModel(SPAM, { hub: hub.address });
    expect(files.map(({ name }) => name)).toEqual([
      'model.onnx',
      'config.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(files[0]!.address).toBe(`${hub.address}/${SPAM}/resolve/0123456789abcdef/onnx/model.onnx`);
    expect(bytes).toBe(files.reduce((sum, file) => sum + file.bytes!, 0));
    const config = await fetchHubFile(files[1]!);
    expect(await config.json()).toHaveProperty('id2label');
    expect(hub.asked.map(({ line }) => line)).toEqual([
      `GET /api/models/${SPAM}?blobs=true`,
      `GET /${SPAM}/resolve/0123456789abcdef/config.json`,
    ]);
    expect(hub.asked.map(({ headers }) => headers).join()).not.toMatch(/cookie|referer|authorization/i);
  });

  it('comes with weights in files of their own', async () => {
    hub = await startHub({
      'large/model': { 'onnx/model.onnx': '1', 'onnx/model.onnx_data': '22', 'onnx/model.onnx_data_1': '333' },
    });
    const { files, bytes } = await findHubModel('large/model', { hub: `${hub.address}/` });
    expect(files.map(({ name }) => name)).toEqual(['model.onnx', 'model.onnx_data', 'model.onnx_data_1']);
    expect(bytes).toBe(6);
  });

  it.each([
    '',
    '..',
    '../../etc/passwd',
    'a/b/c',
    'a/..',
    'a/.b',
    '/etc',
    'https://evil.example/x',
    'a/b?x=1',
    'a/b#c',
    'a%2fb/c',
    'a b/c',
    'a/<img src=x>',
    `a/${'b'.repeat(97)}`,
    'a\n/b',
    '@evil.example/x',
  ])('is refused before anything is asked: %j', async (name) => {
    hub = await startHub({});
    await expect(findHubModel(name, { hub: hub.address })).rejects.toThrow('that is no name on the hub');
    expect(hub.asked).toEqual([]);
  });

  it('never leads to files with hostile paths', async () => {
    hub = await startHub({
      'evil/list': {
        'model.onnx': '1',
        'model.onnx_data/../../../x': '2',
        '../config.json': '{}',
        '/tokenizer.json': '',
      },
    });
    const { files } = await findHubModel('evil/list', { hub: hub.address });
    expect(files.map(({ name }) => name)).toEqual(['model.onnx']);
  });

  it('is asked for in words where there is none, or which one is meant is not clear', async () => {
    hub = await startHub({
      'torch/only': { 'pytorch_model.bin': '' },
      'seq/two': { 'onnx/decoder_model.onnx': '', 'onnx/encoder_model.onnx': '' },
      'one/odd': { 'weights/net.onnx': '1' },
    });
    const find = (name: string) => findHubModel(name, { hub: hub!.address });
    await expect(find('torch/only')).rejects.toThrow('torch/only has no .onnx file');
    await expect(find('seq/two')).rejects.toThrow(
      'several models and none is called model.onnx (onnx/decoder_model.onnx',
    );
    await expect(find('not/there')).rejects.toThrow(/has no public model or file of that name \(404\)/);
    expect((await find('one/odd')).files.map(({ name }) => name)).toEqual(['net.onnx']);
    await expect(findHubModel('a/b', { hub: 'http://127.0.0.1:1' })).rejects.toThrow('cannot reach 127.0.0.1:1');
  });
});
