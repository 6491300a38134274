import type { RoomManifest } from '../../frame/rooms.ts';

export const room: RoomManifest = {
  id: 'models',
  order: 5,
  title: { en: 'Models', zh: '模型' },
  load: () => import('./room.tsx'),
};
