import type { RoomManifest } from '../../frame/rooms.ts';

export const room: RoomManifest = {
  id: 'attention',
  order: 2,
  title: { en: 'Attention', zh: '注意力' },
  load: () => import('./room.tsx'),
};
