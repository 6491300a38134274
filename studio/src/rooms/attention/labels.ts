/** Places for the names of points, so that none lies over another. */

export interface Place {
  readonly x: number;
  readonly y: number;
}

/** Where a name begins, relative to its point, and how it is anchored there. */
export interface LabelPlace extends Place {
  readonly anchor: 'start' | 'middle' | 'end';
}

interface Area {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const GAP = 9;
const RADIUS = 5.5;
/** Right of the point, left of it, above and below. */
const TRIED: readonly LabelPlace[] = [
  { x: GAP, y: 4, anchor: 'start' },
  { x: -GAP, y: 4, anchor: 'end' },
  { x: 0, y: -GAP, anchor: 'middle' },
  { x: 0, y: GAP + 9, anchor: 'middle' },
];

/**
 * A place for each name of `size` units where it lies over no point and no other name, inside of the picture; undefined where
 * there is none. The points of `first` choose before the others.
 */
export function placeLabels(
  points: readonly Place[],
  sizes: readonly { readonly width: number; readonly height: number }[],
  picture: { readonly width: number; readonly height: number },
  first: readonly number[] = [],
): readonly (LabelPlace | undefined)[] {
  const taken: Area[] = points.map(({ x, y }) => ({
    left: x - RADIUS,
    top: y - RADIUS,
    right: x + RADIUS,
    bottom: y + RADIUS,
  }));
  const found: (LabelPlace | undefined)[] = points.map(() => undefined);
  for (const at of new Set([...first, ...points.keys()])) {
    const { width, height } = sizes[at]!;
    for (const tried of TRIED) {
      const x = points[at]!.x + tried.x - { start: 0, middle: width / 2, end: width }[tried.anchor];
      const y = points[at]!.y + tried.y;
      const area = { left: x, top: y - height * 0.8, right: x + width, bottom: y + height * 0.2 };
      const inside = area.left >= 0 && area.right <= picture.width && area.top >= 0 && area.bottom <= picture.height;
      if (!inside || taken.some((other, point) => point !== at && overlap(area, other))) continue;
      taken.push(area);
      found[at] = tried;
      break;
    }
  }
  return found;
}

function overlap(a: Area, b: Area): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
