/** A folder for the files of one test file, removed when its tests are over. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import type { Model } from '../src/onnx/index.ts';
import { writeModel } from '../src/onnx/index.ts';

export interface TestFolder {
  readonly path: string;
  /** The path of a file or folder in it. */
  at(...parts: readonly string[]): string;
  /** Writes a file (models as .onnx, objects as JSON) and gives its path. */
  write(name: string, content: string | Uint8Array | Model | object): string;
}

export function testFolder(purpose: string): TestFolder {
  const root = mkdtempSync(path.join(tmpdir(), `onnxray-${purpose}-`));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  const at = (...parts: readonly string[]) => path.join(root, ...parts);
  return {
    path: root,
    at,
    write(name, content) {
      const file = at(name);
      mkdirSync(path.dirname(file), { recursive: true });
      if (typeof content === 'string' || content instanceof Uint8Array) writeFileSync(file, content);
      else if ('graph' in content) writeFileSync(file, writeModel(content));
      else writeFileSync(file, JSON.stringify(content));
      return file;
    },
  };
}

export const repository = path.resolve(import.meta.dirname, '..');
export const TEXT_MODEL = path.join(repository, 'zoo/text-spam');
export const IMAGE_MODEL = path.join(repository, 'zoo/image-imagenet');
export const photograph = (name: string) => path.join(repository, 'zoo/photographs', name);
