/** Frames of a camera, one whenever the last was answered. */
import type { RgbPicture } from 'onnxray/views';
import { decodePicture } from '../../parts/picture.ts';

/** The longer side of a frame as the model is given it; models see less than that. */
const SIDE = 448;
const QUALITY = 0.9;

export interface CameraFrame {
  readonly blob: Blob;
  readonly pixels: RgbPicture;
}

export interface Camera {
  /** What the camera sees now; waits for a drawn frame of the page, so that a hidden page rests. */
  readonly frame: () => Promise<CameraFrame>;
  readonly stop: () => void;
}

/** Why there is no camera: what to say is in the room's words. */
export type CameraFailure = 'refused' | 'missing' | 'busy' | 'insecure';

export function cameraFailure(error: unknown): CameraFailure {
  if (navigator.mediaDevices === undefined) return 'insecure';
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'refused';
  return name === 'NotFoundError' || name === 'OverconstrainedError' ? 'missing' : 'busy';
}

/** Asks for the camera and starts it; rejects with what the browser says, see `cameraFailure`. `onEnd`: it was unplugged. */
export async function openCamera(onEnd: () => void): Promise<Camera> {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: false,
    video: { facingMode: 'environment', width: { ideal: 640 }, height: { ideal: 480 } },
  });
  const tracks = stream.getTracks();
  for (const track of tracks) track.addEventListener('ended', onEnd);
  const video = document.createElement('video');
  video.muted = true;
  video.playsInline = true;
  video.srcObject = stream;
  const stop = (): void => {
    for (const track of tracks) track.stop();
    video.srcObject = null;
  };
  try {
    await video.play();
  } catch (error) {
    stop();
    throw error;
  }
  const canvas = document.createElement('canvas');
  return {
    stop,
    async frame() {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      const { videoWidth: width, videoHeight: height } = video;
      const factor = Math.min(1, SIDE / Math.max(width, height, 1));
      canvas.width = Math.max(1, Math.round(width * factor));
      canvas.height = Math.max(1, Math.round(height * factor));
      canvas.getContext('2d')!.drawImage(video, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', QUALITY));
      if (blob === null) throw new Error('the camera gave no picture');
      return { blob, pixels: await decodePicture(blob) };
    },
  };
}
