export * from './explanation/index.ts';
