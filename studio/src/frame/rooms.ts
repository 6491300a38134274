import type { ComponentType } from 'preact';
import type { Language } from 'onnxray/views';

/** A room: a folder under rooms/ whose manifest.ts exports this as `room`. The frame needs no other change. */
export interface RoomManifest {
  readonly id: string;
  /** Place among the rooms, ascending. */
  readonly order: number;
  readonly title: Readonly<Record<Language, string>>;
  readonly load: () => Promise<{ readonly default: ComponentType }>;
}

const manifests = import.meta.glob<{ readonly room: RoomManifest }>('../rooms/*/manifest.ts', { eager: true });

export const ROOMS: readonly RoomManifest[] = Object.values(manifests)
  .map(({ room }) => room)
  .sort((a, b) => a.order - b.order);
