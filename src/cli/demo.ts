/** The embedded models and what the demo shows of them. */
import { readFile, readdir } from 'node:fs/promises';
import type { Subject } from '../attribution/index.ts';
import type { Bilingual } from '../views/index.ts';

export interface DemoModel {
  readonly kind: 'text' | 'image';
  readonly folder: URL;
  /** Its place in the repository. */
  readonly label: string;
  readonly name: Bilingual;
  readonly licence: string;
}

const zoo = (name: string): URL => new URL(`../../zoo/${name}`, import.meta.url);

export const DEMO_MODELS: readonly DemoModel[] = [
  {
    kind: 'text',
    folder: zoo('text-spam'),
    label: 'zoo/text-spam',
    name: {
      en: 'MiniLM, four layers, trained to tell spam from ham',
      zh: 'MiniLM（四层），用于区分垃圾邮件与正常邮件',
    },
    licence: 'Apache-2.0',
  },
  {
    kind: 'image',
    folder: zoo('image-imagenet'),
    label: 'zoo/image-imagenet',
    name: { en: 'EfficientNet-Lite0, ImageNet', zh: 'EfficientNet-Lite0（ImageNet）' },
    licence: 'Apache-2.0',
  },
];

export interface DemoSubject {
  readonly subject: Subject;
  readonly title: Bilingual;
  readonly note?: Bilingual;
}

/** What the demo explains with a model: the texts beside it, or photographs of the zoo. */
export async function demoSubjects(model: DemoModel): Promise<DemoSubject[]> {
  if (model.kind === 'text') {
    const examples = JSON.parse(await readFile(new URL('text-spam/examples.json', zoo('')), 'utf8')) as {
      text: string;
      label: string;
    }[];
    return examples.map(({ text, label }, index) => ({
      subject: { text },
      title: {
        en: `Mail ${index + 1}: ${label}`,
        zh: `邮件 ${index + 1}：${label === 'spam' ? '垃圾邮件' : '正常邮件'}`,
      },
    }));
  }
  const photographs = zoo('photographs/');
  const files = (await readdir(photographs)).filter((file) => SHOWN.has(file)).sort();
  return files.map((file) => ({
    subject: { image: decodeURIComponent(new URL(file, photographs).pathname) },
    title: SHOWN.get(file)!,
  }));
}

/** Photographs the demo shows; each costs a few seconds. */
const SHOWN: ReadonlyMap<string, Bilingual> = new Map([
  ['cat.jpg', { en: 'A cat', zh: '一只猫' }],
  ['coffee.jpg', { en: 'A cup of coffee', zh: '一杯咖啡' }],
]);
