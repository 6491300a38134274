import type { RoomManifest } from '../../frame/rooms.ts';

export const room: RoomManifest = {
  id: 'text',
  order: 1,
  title: { en: 'Text', zh: '文本' },
  load: () => import('./room.tsx'),
};
