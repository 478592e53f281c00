// The path patterns of blob triggers: `container/{name}`, `container/dir/{a}-{b}.{ext}`, `container` alone.
// Parameters match greedily and across '/', as in the real host; `{{` and `}}` are literal braces.

export interface BlobPath {
  text: string;
  container: string;
  /** Values of the parameters when the blob's name matches, else undefined. */
  match(blobName: string): Record<string, string> | undefined;
}

/** Parses a trigger's path; throws Error that names the path and the mistake. */
export function parseBlobPath(text: string): BlobPath {
  const slash = text.indexOf('/');
  const container = slash < 0 ? text : text.slice(0, slash);
  if (!/^(\$[a-z]+|[a-z0-9](-?[a-z0-9]+)*)$/.test(container)) {
    throw new Error(
      `The blob path "${text}" must begin with a container's name; "${container}" cannot be one.`,
    );
  }
  if (slash < 0) return { text, container, match: () => ({}) };
  const { pattern, names } = toPattern(text, text.slice(slash + 1));
  return {
    text,
    container,
    match: (blobName) => {
      const found = pattern.exec(blobName);
      if (found === null) return undefined;
      return Object.fromEntries(names.map((name, index) => [name, found[index + 1] ?? '']));
    },
  };
}

function toPattern(text: string, blobPattern: string): { pattern: RegExp; names: string[] } {
  if (blobPattern === '') throw new Error(`The blob path "${text}" has nothing after the container's "/".`);
  const names: string[] = [];
  const source = blobPattern.replaceAll(
    /\{\{|\}\}|\{([^{}]*)\}|[^{}]+|[{}]/g,
    (token, name: string | undefined) => {
      if (token === '{{' || token === '}}') return `\\${token.charAt(0)}`;
      if (token === '{' || token === '}')
        throw new Error(`The blob path "${text}" has an unmatched "${token}".`);
      if (name === undefined) return token.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&');
      if (!/^[A-Za-z_]\w*$/.test(name))
        throw new Error(`The blob path "${text}" has the unusable parameter "{${name}}".`);
      if (names.includes(name))
        throw new Error(`The blob path "${text}" has the parameter "{${name}}" twice.`);
      names.push(name);
      return '(.*)';
    },
  );
  return { pattern: new RegExp(`^${source}$`, 's'), names };
}
