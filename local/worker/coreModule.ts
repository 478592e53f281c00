// Answers `require('@azure/functions-core')` in this process, the way the real worker does: only that exact
// specifier, only CommonJS. An ESM import of it fails with ERR_MODULE_NOT_FOUND, as it does in Azure.
import Module from 'node:module';

const coreSpecifier = '@azure/functions-core';

interface Requiring {
  require: (this: unknown, specifier: string) => unknown;
}

/**
 * Installs `core` for all later `require` calls. Call before the first file of the app is loaded: the app's
 * libraries keep what they see first, and without it they fall silently into a test mode that registers nothing.
 */
export function installCoreModule(core: Record<string, unknown>): void {
  const prototype = (Module as unknown as { prototype: Requiring }).prototype;
  prototype.require = new Proxy(prototype.require, {
    apply: (target, self, args: [string]) =>
      args[0] === coreSpecifier ? core : Reflect.apply(target, self, args),
  });
}
