import type { RoomManifest } from '../../frame/rooms.ts';

export const room: RoomManifest = {
  id: 'compare',
  order: 4,
  title: { en: 'Compare', zh: '比较' },
  load: () => import('./room.tsx'),
};
