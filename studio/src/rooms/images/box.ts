/** A rectangle in fractions of the picture: left, top, right, bottom. */
export interface PictureBox {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export function readBox(text: string | undefined): PictureBox | undefined {
  const numbers = text?.split(',').map(Number) ?? [];
  const [left, top, right, bottom] = numbers;
  if (numbers.length !== 4 || !numbers.every((each) => each >= 0 && each <= 1)) return undefined;
  return left! < right! && top! < bottom! ? { left: left!, top: top!, right: right!, bottom: bottom! } : undefined;
}

export function writeBox({ left, top, right, bottom }: PictureBox): string {
  return [left, top, right, bottom].map((each) => Math.min(1, Math.max(0, each)).toFixed(3)).join(',');
}

/** How far a key moves a box or its edge, and the least that is left of it, in fractions of the picture. */
const STEP = 0.02;

const STEPS: Readonly<Record<string, readonly [x: number, y: number]>> = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP],
  ArrowDown: [0, STEP],
};

/** The box after an arrow key: moved, or with Shift its right or lower edge moved. Undefined for any other key. */
export function boxAfterKey(box: PictureBox, key: string, shift: boolean): PictureBox | undefined {
  const step = STEPS[key];
  if (step === undefined) return undefined;
  const within = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
  const [x, y] = step;
  if (shift)
    return {
      ...box,
      right: x === 0 ? box.right : within(box.right + x, Math.min(box.right, box.left + STEP), 1),
      bottom: y === 0 ? box.bottom : within(box.bottom + y, Math.min(box.bottom, box.top + STEP), 1),
    };
  const [across, down] = [within(x, -box.left, 1 - box.right), within(y, -box.top, 1 - box.bottom)];
  return {
    left: box.left + across,
    right: box.right + across,
    top: box.top + down,
    bottom: box.bottom + down,
  };
}
