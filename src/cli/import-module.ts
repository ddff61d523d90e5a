/** Imports a package or program by its name, for code that is kept compiled: V8 keeps no `import()` in it. */
export const importModule = (name: string): Promise<unknown> => import(name);
