/** The commands that the READMEs and --help show: what they name is there, and those that take seconds run. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { repository, testFolder } from '../folder.ts';
import { onnxray } from './onnxray.ts';

const folder = testFolder('examples');
mkdirSync(folder.at('checkout'));
symlinkSync(path.join(repository, 'zoo'), folder.at('checkout/zoo'));

/** Command lines of a README, without what is said of them. */
const shown = (readme: string): string[] =>
  readFileSync(path.join(repository, readme), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('    npx onnxray '))
    .map((line) =>
      line
        .replace(/\s#.*$/, '')
        .trim()
        .replace('npx ', ''),
    );

/** What a command reads: words that are paths, but for what follows a flag that writes. Placeholders are in capitals. */
function filesOf(line: string): string[] {
  const read = line.replaceAll(/"[^"]*"/g, 'TEXT').replaceAll(/(--out|-o|--export)\s+\S+/g, '');
  return (read.match(/\S+/g) ?? []).filter(
    (word) => /\/|\.(?:onnx|jpg|png|json)$/.test(word) && !/^[A-Z]+\./.test(word),
  );
}

const english = shown('README.md');

describe('the READMEs', () => {
  it('show the same commands in both languages', () => {
    expect(english.length).toBeGreaterThan(8);
    expect(shown('README.zh-CN.md').map((line) => line.replace(' --language zh', ''))).toEqual(english);
  });

  // The studio runs until it is stopped, and a picture is found in some hundred steps. Seconds each, on a machine of its own.
  it.each(english.filter((line) => !/^onnxray (studio|visualise)/.test(line)))(
    '%s',
    { timeout: 300_000 },
    async (line) => {
      const program = `"${process.execPath}" "${path.join(repository, 'dist/cli/bin.js')}"`;
      const cwd = folder.at('checkout');
      const { code, stdout, stderr } = await new Promise<{ code: number; stdout: string; stderr: string }>(
        (resolve) => {
          execFile('bash', ['-c', line.replace('onnxray', program)], { cwd, maxBuffer: 1e8 }, (error, out, err) =>
            resolve({ code: error === null ? 0 : Number(error.code), stdout: out, stderr: err }),
          );
        },
      );
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout.length).toBeGreaterThan(0);
      const out = /(?:--out|-o) (\S+)/.exec(line)?.[1];
      if (out !== undefined) expect(existsSync(path.join(cwd, out))).toBe(true);
    },
  );
});

it.each(['', 'inspect', 'explain', 'attention', 'patch', 'ablate', 'gradient', 'demo', 'studio', 'visualise'])(
  'the examples of onnxray %s --help name what is there',
  async (command) => {
    const { stdout } = await onnxray([...command.split(' ').filter(Boolean), '--help']);
    const lines = stdout.split('\n').filter((line) => line.startsWith('  onnxray '));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines)
      for (const file of filesOf(line)) expect(existsSync(path.join(repository, file)), line).toBe(true);
  },
);
