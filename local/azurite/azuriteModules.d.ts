// Azurite's classes, which are CommonJS modules without types.

declare module 'azurite/dist/src/*.js' {
  const module: { default: new (...args: unknown[]) => object };
  export default module;
}
