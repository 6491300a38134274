/**
 * server/: the studio's local server.
 *
 * It serves the built page and runs models for it in child processes, on 127.0.0.1 unless told otherwise. What a request
 * can reach is listed beforehand: files of the page, models it was started with, models dropped on it.
 */
export { startStudio } from './start.ts';
export type { RunningStudio, StudioOptions } from './start.ts';
export { exportSite } from './export.ts';
