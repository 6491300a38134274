import { useEffect, useState } from 'preact/hooks';
import type { Words } from './words.ts';

/** Files are taken anywhere on the page; while something is dragged over it, the page says so. */
export function DropVeil({
  words,
  onDrop,
}: {
  readonly words: Words;
  readonly onDrop: (transfer: DataTransfer) => Promise<void>;
}) {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0;
    const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
    const enter = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      depth++;
      setOver(true);
    };
    const leave = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      depth = Math.max(0, depth - 1);
      if (depth === 0) setOver(false);
    };
    const stay = (event: DragEvent): void => {
      if (hasFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent): void => {
      depth = 0;
      setOver(false);
      if (!hasFiles(event)) return;
      event.preventDefault();
      void onDrop(event.dataTransfer!);
    };
    addEventListener('dragenter', enter);
    addEventListener('dragleave', leave);
    addEventListener('dragover', stay);
    addEventListener('drop', drop);
    return () => {
      removeEventListener('dragenter', enter);
      removeEventListener('dragleave', leave);
      removeEventListener('dragover', stay);
      removeEventListener('drop', drop);
    };
  }, [onDrop]);
  if (!over) return null;
  return (
    <div class="veil" aria-hidden="true">
      <div>
        <strong>{words.dropHere}</strong>
        <p>{words.dropHint}</p>
      </div>
    </div>
  );
}

export function kindOfDrop(files: readonly File[]): 'picture' | 'model' {
  const picture = files.length === 1 && /^image\/(png|jpeg|webp)$/.test(files[0]!.type);
  return picture ? 'picture' : 'model';
}

/** The files chosen in a field, which is emptied: the same file, mended, can be chosen again. */
export function takeFiles(input: HTMLInputElement): File[] {
  const files = [...(input.files ?? [])];
  input.value = '';
  return files;
}

/** A folder counts as its files, two levels deep, as models lie on the hub. */
export async function filesOf(transfer: DataTransfer): Promise<File[]> {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry());
  // The list is emptied as soon as the event is over, so it is read whole before anything is awaited.
  const plain = [...transfer.files];
  if (!entries.some((entry) => entry?.isDirectory)) return plain;
  const found: File[] = [];
  for (const entry of entries) if (entry !== null) await collect(entry, 0, found);
  return found.filter(({ name }) => !name.startsWith('.') && !/\.(md|txt)$/i.test(name));
}

/** More files than this are no model's. */
const MOST_FILES = 64;

async function collect(entry: FileSystemEntry, depth: number, found: File[]): Promise<void> {
  if (found.length > MOST_FILES) return;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push(file);
    return;
  }
  if (depth > 2) return;
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  // A reader gives its entries in parts, and none when there are no more.
  for (;;) {
    const children = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (children.length === 0 || found.length > MOST_FILES) return;
    for (const child of children) await collect(child, depth + 1, found);
  }
}
