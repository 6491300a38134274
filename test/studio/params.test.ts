import { describe, expect, it } from 'vitest';
import { readChoice, readNames, readPercent } from '../../studio/src/frame/params.ts';
import { readAddress } from '../../studio/src/frame/state.ts';

describe('what an address or the storage holds', () => {
  it('is one of the choices, or the fallback', () => {
    expect(readChoice('zh', ['en', 'zh'], 'en')).toBe('zh');
    for (const wrong of ['xx', '', 'ZH', '__proto__', undefined])
      expect(readChoice(wrong, ['en', 'zh'], 'en')).toBe('en');
  });

  it('names each method once, and none that is unknown', () => {
    const known = ['saliency', 'occlusion', 'lime'];
    expect(readNames('lime,saliency,lime', known, 'occlusion')).toEqual(['lime', 'saliency']);
    expect(readNames('lime,layer-conductance', known, 'occlusion')).toEqual(['lime']);
    for (const none of ['', ',', 'zzz']) expect(readNames(none, known, 'occlusion,gone')).toEqual(['occlusion']);
  });

  it('is a percentage, or the fallback', () => {
    expect(readPercent('0', 100)).toBe(0);
    expect(readPercent('42.5', 100)).toBe(42.5);
    for (const wrong of ['abc', '', '-1', '101', 'Infinity', 'NaN']) expect(readPercent(wrong, 100)).toBe(100);
  });

  it('is read whole, with every question mark in it', () => {
    expect(readAddress('#/text?text=why?&target=1')).toEqual({ room: 'text', params: { text: 'why?', target: '1' } });
    expect(readAddress('#/text')).toEqual({ room: 'text', params: {} });
    expect(readAddress('')).toEqual({ room: '', params: {} });
  });
});
