import type { RoomManifest } from '../../frame/rooms.ts';

export const room: RoomManifest = {
  id: 'images',
  order: 3,
  title: { en: 'Images', zh: '图像' },
  load: () => import('./room.tsx'),
};
