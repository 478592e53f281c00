// The names that Azure accepts for what a failover makes. Checked long before the failover: a name that Resource Manager
// refuses is found when protection is finalized, not in the hour of need.

interface NameRule {
  maxLength: number;
  /** What the whole name must look like. */
  pattern: RegExp;
  /** The pattern in words. */
  words: string;
}

const alphanumericEnds = 'letters, digits and "-", beginning and ending with a letter or digit';
const resourceWords =
  'letters, digits, "_", "." and "-", beginning with a letter or digit and ending with a letter, digit or "_"';
const resourcePattern = /^[a-z0-9]([a-z0-9_.-]*[a-z0-9_])?$/i;

/** Azure's rules by kind of resource; the machine's is Site Recovery's, which is narrower than Compute's. */
export const azureNameRules = {
  virtualMachine: { maxLength: 63, pattern: /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i, words: alphanumericEnds },
  disk: { maxLength: 80, pattern: resourcePattern, words: resourceWords },
  networkInterface: { maxLength: 80, pattern: resourcePattern, words: resourceWords },
  networkSecurityGroup: { maxLength: 80, pattern: resourcePattern, words: resourceWords },
  subnet: { maxLength: 80, pattern: resourcePattern, words: resourceWords },
  virtualNetwork: {
    maxLength: 64,
    pattern: /^[a-z0-9][a-z0-9_.-]*[a-z0-9_]$/i,
    words: `at least two characters: ${resourceWords}`,
  },
  availabilitySet: { maxLength: 80, pattern: resourcePattern, words: resourceWords },
  resourceGroup: {
    maxLength: 90,
    pattern: /^[\p{L}\p{N}_().-]*[\p{L}\p{N}_()-]$/u,
    words: 'letters, digits, "_", "(", ")", "." and "-", not ending with "."',
  },
} as const satisfies Record<string, NameRule>;
export type AzureNameKind = keyof typeof azureNameRules;

const kindWords: Record<AzureNameKind, string> = {
  virtualMachine: 'virtual machine',
  disk: 'disk',
  networkInterface: 'network interface',
  networkSecurityGroup: 'network security group',
  subnet: 'subnet',
  virtualNetwork: 'virtual network',
  availabilitySet: 'availability set',
  resourceGroup: 'resource group',
};

/** Words that Azure reserves: alone, or as a part of the name. */
const reservedWhole = new Set([
  'azure',
  'access',
  'bing',
  'office',
  'xbox',
  'hyperv',
  'visualstudio',
  'onedrive',
  'outlook',
  'sharepoint',
  'skype',
]);
const reservedParts = ['microsoft', 'windows'];
const reservedBeginnings = ['login'];

/** Why Azure would refuse the name, as a sentence that says what to do; undefined when it is a good name. */
export function azureNameProblem(kind: AzureNameKind, name: string): string | undefined {
  const { maxLength, pattern, words } = azureNameRules[kind];
  const subject = `The ${kindWords[kind]} name "${name.slice(0, 100)}"`;
  if (name.length === 0) return `The ${kindWords[kind]} has no name; give it 1 to ${maxLength} characters.`;
  if (name.length > maxLength)
    return `${subject} has ${name.length} characters; Azure allows ${maxLength}. Shorten it.`;
  if (!pattern.test(name)) return `${subject} is not allowed in Azure; use ${words}.`;
  if (kind !== 'virtualMachine') return undefined;
  if (/^\d+$/.test(name)) return `${subject} has digits only; a guest's host name needs a letter.`;
  const reserved = reservedWordOf(name.toLowerCase());
  return reserved === undefined
    ? undefined
    : `${subject} contains the word "${reserved}", which Azure reserves; choose another name.`;
}

function reservedWordOf(name: string): string | undefined {
  if (reservedWhole.has(name)) return name;
  return (
    reservedParts.find((part) => name.includes(part)) ??
    reservedBeginnings.find((part) => name.startsWith(part))
  );
}

/**
 * A good name made from any text: the same text gives the same name. Keeps what it can; a name that is too long keeps
 * its beginning, and `suffix` (itself valid inside such names) is always kept whole.
 */
export function azureNameFrom(kind: AzureNameKind, text: string, suffix = ''): string {
  const { maxLength } = azureNameRules[kind];
  const isMachine = kind === 'virtualMachine';
  const allowed = isMachine ? /[^a-z0-9-]+/gi : /[^a-z0-9_.-]+/gi;
  const ends = (name: string): string => name.replace(/^[^a-z0-9]+|[^a-z0-9]+$/gi, '');
  const base = ends(text.normalize('NFKD').replaceAll(/\p{M}/gu, '').replaceAll(allowed, '-'));
  const cut = ends(base.slice(0, maxLength - suffix.length));
  const name = `${cut === '' ? 'vm' : cut}${suffix}`;
  if (azureNameProblem(kind, name) === undefined) return name;
  const unreserved = cut.replaceAll(/microsoft|windows/gi, 'os');
  return `${ends(`vm-${unreserved}`.slice(0, maxLength - suffix.length))}${suffix}`;
}
