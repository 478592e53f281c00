// Which instance ids are allowed: the extension's rules, which are also those of a table key.

const maxCharCount = 256;

/** Why an id cannot be used; undefined when it can. */
export function describeInvalidInstanceId(instanceId: string): string | undefined {
  const shown = JSON.stringify(instanceId.slice(0, 80));
  if (instanceId.trim() === '') return 'The instance id is empty; leave it out to get a generated one.';
  if (instanceId.length > maxCharCount)
    return `Instance id ${shown}… has ${instanceId.length} characters; the limit is ${maxCharCount}.`;
  if (instanceId.startsWith('@'))
    return `Instance id ${shown} begins with @, which is kept for entities; choose another first character.`;
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  const bad = /[/\\#?\u0000-\u001f\u007f-\u009f]/.exec(instanceId)?.[0];
  if (bad === undefined) return undefined;
  return `Instance id ${shown} contains ${JSON.stringify(bad)}; the characters / \\ # ? and control characters are not allowed.`;
}
