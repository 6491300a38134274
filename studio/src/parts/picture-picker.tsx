import { takeFiles } from '../frame/drop.tsx';

interface PicturePickerProps {
  /** Addresses of the pictures that come along. */
  readonly pictures: readonly string[];
  readonly chosen: string | undefined;
  readonly words: { readonly pictures: string; readonly choose: string };
  readonly onChoose: (address: string) => void;
  readonly onFiles: (files: readonly File[]) => void;
}

/** Small pictures to choose from, and a field for one's own. */
export function PicturePicker({ pictures, chosen, words, onChoose, onFiles }: PicturePickerProps) {
  return (
    <>
      {pictures.length > 0 && (
        <div class="thumbs" role="group" aria-label={words.pictures}>
          {pictures.map((address) => (
            <button
              key={address}
              type="button"
              aria-pressed={address === chosen}
              aria-label={address.replace(/^.*\/|\.\w+$/g, '')}
              onClick={() => onChoose(address)}
            >
              <img src={address} alt="" loading="lazy" />
            </button>
          ))}
        </div>
      )}
      <label class="file">
        <span>{words.choose}</span>
        <input
          type="file"
          accept="image/png,image/jpeg,image/webp"
          onChange={(event) => onFiles(takeFiles(event.currentTarget))}
        />
      </label>
    </>
  );
}
