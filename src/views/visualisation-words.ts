/** Words of visualisations, in both languages. */
import type { Visualisation } from '../visualisation/index.ts';
import type { Language } from './messages.ts';

type Method = Visualisation['method'];
type Words = Readonly<Record<Language, string>>;

export const VISUALISATION_TITLES: Readonly<Record<Method, Words>> = {
  'feature-visualisation': { en: 'What units look for', zh: '单元在寻找什么' },
  inversion: { en: 'What a layer keeps of a photograph', zh: '一层保留了照片的什么' },
  'top-patches': { en: 'What excites channels most', zh: '最能激发各通道的图像块' },
};

/** What stands below the pictures, and how they came about: one sentence each. */
export function visualisationNotes({ method, options, layer }: Noted, language: Language): readonly string[] {
  const zh = language === 'zh';
  switch (method) {
    case 'feature-visualisation':
      return [
        zh
          ? '每幅图下方：该单元对起始噪声的值 → 对所得图像的值。图像由梯度上升得到。'
          : 'Below each picture: what the unit says to the noise it began with → to the picture found, by gradient ascent.',
      ];
    case 'inversion':
      return [
        zh
          ? '图下方：负的相对平方距离（与照片在该层的值相比），噪声 → 所得图像；越接近 0，该层越分不清两者。'
          : 'Below the picture: minus the relative squared distance to the layer’s values of the photograph, noise → picture found; near 0 the layer cannot tell the two apart.',
      ];
    case 'top-patches': {
      const field = String(options['receptive_field'] ?? 'all');
      const count = String(options['pictures'] ?? 0);
      if (zh)
        return [
          `每行一个通道：${count} 幅图像中最能激发它的部分，每幅图像取一处；下方为该通道的最大值。`,
          field === 'all'
            ? `“${layer}”的每个位置都可能看到整幅图像。`
            : `“${layer}”的一个位置看到模型输入的 ${field} 像素。`,
        ];
      return [
        `Each row: the parts of ${count} pictures that excite the channel most, one of each picture; below them the channel’s largest value.`,
        field === 'all'
          ? `A place of "${layer}" may see all of the picture.`
          : `A place of "${layer}" sees ${field} pixels of the model’s input.`,
      ];
    }
  }
}

type Noted = Pick<Visualisation, 'method' | 'options' | 'layer'>;
