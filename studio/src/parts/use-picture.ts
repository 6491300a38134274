import { useEffect, useState } from 'preact/hooks';
import { useFrame } from '../frame/context.ts';
import type { RgbPicture } from 'onnxray/views';
import { decodePicture } from './picture.ts';

export interface LoadedPicture {
  readonly id: string;
  readonly blob: Blob;
  readonly pixels: RgbPicture;
}

/** The picture of an id: one that was dropped, or an address beside the page. */
export function usePicture(id: string | undefined): {
  readonly picture: LoadedPicture | undefined;
  readonly failed: boolean;
} {
  const { pictures } = useFrame();
  const [loaded, setLoaded] = useState<LoadedPicture | undefined>();
  const [failed, setFailed] = useState<string | undefined>();
  const dropped = id === undefined ? undefined : pictures.get(id);
  useEffect(() => {
    if (id === undefined) return undefined;
    let gone = false;
    const load = async (): Promise<LoadedPicture> => {
      // Only pictures beside the page: an address from elsewhere in a shared link is not followed.
      if (dropped !== undefined) return { id, blob: dropped, pixels: await decodePicture(dropped) };
      if (!/^pictures\/[\w.-]+$/.test(id)) throw new Error('no such picture');
      const blob = await fetch(id).then((response) => response.blob());
      return { id, blob, pixels: await decodePicture(blob) };
    };
    load().then(
      (picture) => {
        if (!gone) setLoaded(picture);
      },
      () => {
        if (!gone) setFailed(id);
      },
    );
    return () => {
      gone = true;
    };
  }, [id, dropped]);
  return { picture: loaded?.id === id ? loaded : undefined, failed: failed !== undefined && failed === id };
}
