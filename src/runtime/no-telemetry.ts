/**
 * onnxruntime 1.30 for Node reports usage over HTTPS, keeps a device id and a database in the user's cache folder, and
 * drops a file in the working folder where it can't. A tool that looks into people's models and texts does none of that.
 * It is told so before the library is loaded; a value that somebody set is left as it is.
 */
process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
