/** Files and folders the commands read and write: links, pipes, broken pictures, places that take nothing; and what is loaded to do it. */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parseExplanation } from '../../src/explanation/index.ts';
import { IMAGE_MODEL, photograph, testFolder } from '../folder.ts';
import { perceptron } from '../handmade.ts';
import { expectRefusal, onnxray } from './onnxray.ts';

const run = promisify(execFile);
const folder = testFolder('files');
const model = folder.write('perceptron.onnx', perceptron());
const inputs = folder.write('inputs.json', { x: { dims: [1, 4], type: 'float32', data: [1, 2, -3, 0.5] } });
const explain = (out: string) => onnxray(['explain', model, '--inputs', inputs, '--method', 'saliency', '--out', out]);
const isExplanation = (text: string) => expect(parseExplanation(text).method).toBe('saliency');

describe('--out', () => {
  it('writes what a link leads to, which keeps its mode', async () => {
    const target = folder.write('elsewhere/target.json', 'old');
    chmodSync(target, 0o600);
    symlinkSync('elsewhere/target.json', folder.at('link.json'));
    expect(await explain(folder.at('link.json'))).toMatchObject({ code: 0, stderr: '' });
    expect(lstatSync(folder.at('link.json')).isSymbolicLink()).toBe(true);
    isExplanation(readFileSync(target, 'utf8'));
    expect(statSync(target).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder.at('elsewhere'))).toEqual(['target.json']);
  });

  it('writes what a link will lead to', async () => {
    mkdirSync(folder.at('later'));
    symlinkSync('later/new.json', folder.at('ahead.json'));
    expect(await explain(folder.at('ahead.json'))).toMatchObject({ code: 0, stderr: '' });
    isExplanation(readFileSync(folder.at('later/new.json'), 'utf8'));
  });

  it('writes into a pipe', async () => {
    const pipe = folder.at('pipe.json');
    await run('mkfifo', [pipe]);
    const [read, { code, stderr }] = await Promise.all([run('cat', [pipe]), explain(pipe)]);
    expect([code, stderr]).toEqual([0, '']);
    isExplanation(read.stdout);
    expect(lstatSync(pipe).isFIFO()).toBe(true);
  });
});

describe('a folder of pictures', () => {
  const pictures = folder.at('pictures');
  mkdirSync(`${pictures}/a folder.png`, { recursive: true });
  copyFileSync(photograph('cat.jpg'), `${pictures}/good.jpg`);
  writeFileSync(`${pictures}/bad.jpg`, readFileSync(photograph('cat.jpg')).subarray(0, 9000));
  const explainAll = (...more: string[]) =>
    onnxray(['explain', IMAGE_MODEL, '--image', pictures, '--method', 'saliency', ...more]);

  it('is explained but for those that are broken, which are named', async () => {
    const { code, stdout, stderr } = await explainAll('--json');
    const list = JSON.parse(stdout) as { image: { path: string } }[];
    expect(list.map(({ image }) => image.path)).toEqual([`${pictures}/good.jpg`]);
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(/^onnxray: .*bad\.jpg is broken/),
      `onnxray: 1 of 2 pictures in ${pictures} could not be explained`,
      '',
    ]);
    expect(code).toBe(1);
  });

  it('is refused for what is wrong with all of them, once', async () => {
    const { code, stdout, stderr } = await explainAll('--target', 'no such class');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr.match(/unknown target/g)).toHaveLength(1);
    expectRefusal(await explainAll('--pair', 'b'), 2, /--pair/);
  });
});

describe('a place that takes nothing', () => {
  it.runIf(existsSync('/proc/self'))('is refused by studio --export and demo, at once', async () => {
    expectRefusal(await onnxray(['demo', '--out', '/proc/onnxray/report']), 1, /cannot write \/proc\/onnxray\/report/);
    const { code, stderr } = await onnxray(['studio', '--export', '/proc/onnxray/site']);
    expect([code, stderr]).toEqual([1, 'onnxray: cannot write /proc/onnxray/site: there is no such file or folder\n']);
  });
});

describe('what a command does not need is not loaded', () => {
  /** Files of the program and packages that a command line loads, as the engine reports them. */
  async function loaded(purpose: string, args: readonly string[]): Promise<readonly string[]> {
    const report = folder.at(purpose);
    await onnxray(args, { env: { NODE_V8_COVERAGE: report } });
    return readdirSync(report).flatMap((name) =>
      (JSON.parse(readFileSync(`${report}/${name}`, 'utf8')) as { result: { url: string }[] }).result
        .map(({ url }) => url)
        .filter((url) => url.startsWith('file:')),
    );
  }

  it('for the version and the list of commands: commander, and nothing of any room', async () => {
    for (const flag of ['--version', '--help']) {
      const files = await loaded(flag, [flag]);
      expect(files.some((file) => file.includes('/commander/'))).toBe(true);
      expect(files.filter((file) => /\/dist\/(?!cli\/)/.test(file))).toEqual([]);
      expect(files.filter((file) => /node_modules\/(?!commander\/)/.test(file))).toEqual([]);
    }
  });

  it('for a model to be looked at: no server', async () => {
    const files = await loaded('inspect', ['inspect', model]);
    expect(files.some((file) => file.includes('/dist/inspection/'))).toBe(true);
    expect(files.filter((file) => /\/dist\/(server|jobs)\/|node_modules\/hono\//.test(file))).toEqual([]);
  });
});
