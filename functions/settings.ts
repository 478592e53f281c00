// The app's settings: one schema, checked when the app starts (startUp.ts), read from the environment. docs/settings.md
// explains every one of them, local.settings.sample.json has the local values, infra/ sets those of a deployment.
import * as z from 'zod';
import { parseAllowedHosts } from './outboundGuard.ts';

const connectionString = /^UseDevelopmentStorage=true;?$|(^|;)(AccountName|BlobEndpoint)=/i;

/** A default keeps the description. */
const wholeNumber = (min: number, max: number) =>
  z.coerce.number().int().min(min).max(max).describe(`a whole number from ${min} to ${max}`);
const schedule = z
  .string()
  .regex(/^\s*\S+(\s+\S+){5}\s*$/)
  .describe('six fields of NCRONTAB, for example "0 * * * * *" for every minute');

function isListOfHosts(text: string): boolean {
  try {
    parseAllowedHosts(text);
    return true;
  } catch {
    return false;
  }
}

/** `describe` says what to set: it ends the message about a setting that is missing or wrong. */
const schema = z.object({
  LIFEBOAT_VAULT_ID: z
    .string()
    .regex(
      /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.RecoveryServices\/vaults\/[^/]+$/i,
    )
    .describe('/subscriptions/<id>/resourceGroups/<name>/providers/Microsoft.RecoveryServices/vaults/<name>'),
  LIFEBOAT_ADMIN_KEY: z.string().min(16).optional().describe('a random text of at least 16 characters'),
  LIFEBOAT_ENTRA_TENANT_ID: z.guid().toLowerCase().optional().describe('the id of an Entra tenant, a GUID'),
  LIFEBOAT_ENTRA_AUDIENCE: z
    .string()
    .min(1)
    .optional()
    .describe('the audience of its tokens, such as api://<client id>'),
  LIFEBOAT_ENTRA_AUTHORITY: z
    .url({ protocol: /^https?$/ })
    .default('https://login.microsoftonline.com')
    .describe('the address of the authority, for example https://login.microsoftonline.com'),
  LIFEBOAT_AUDIT_RETENTION_DAYS: wholeNumber(1, 3650).default(400),
  LIFEBOAT_REQUESTS_PER_SECOND: wholeNumber(1, 100_000).default(100),
  LIFEBOAT_PUBLIC_URL: z
    .url({ protocol: /^https?$/ })
    .describe('the address that callers use, for example https://func-x.azurewebsites.net'),
  LIFEBOAT_UPLOAD_URL_MINUTES: wholeNumber(5, 1440).default(60),
  LIFEBOAT_VERIFY: z.enum(['none', 'readback']).default('none').describe('none or readback'),
  LIFEBOAT_SCRATCH_MB: wholeNumber(0, 1_048_576).default(1024),
  LIFEBOAT_RESYNCS_AT_ONCE: wholeNumber(1, 100).default(2),
  LIFEBOAT_JOB_RETENTION_DAYS: wholeNumber(1, 365).default(30),
  LIFEBOAT_TEST_FAILOVER_DUE_DAYS: wholeNumber(1, 3650).default(180),
  LIFEBOAT_COMPUTE: z.enum(['vhd', 'azure', 'qemu']).default('vhd').describe('vhd, azure or qemu'),
  LIFEBOAT_COMPUTE_LOCATION: z.string().optional().describe('a region of Azure, for example westeurope'),
  LIFEBOAT_STORAGE_ID: z.string().optional().describe('the ARM id of the storage account of the replicas'),
  LIFEBOAT_ARM_ENDPOINT: z
    .url({ protocol: /^https$/ })
    .default('https://management.azure.com')
    .describe('the https address of Resource Manager'),
  LIFEBOAT_QEMU: z.string().default('qemu-system-x86_64').describe('a program that runs virtual machines'),
  LIFEBOAT_QEMU_FOLDER: z.string().optional().describe('a folder'),
  LIFEBOAT_QEMU_MEMORY_MB: wholeNumber(16, 1_048_576).default(1024),
  LIFEBOAT_ACTION_HOSTS: z
    .string()
    .refine(isListOfHosts)
    .default('')
    .describe('names, addresses and ranges with commas between, for example *.contoso.local, 10.1.0.0/16'),
  LIFEBOAT_RECONCILE_SCHEDULE: schedule,
  LIFEBOAT_TICK_SCHEDULE: schedule,
  LIFEBOAT_STORAGE: z
    .string()
    .regex(connectionString)
    .optional()
    .describe('a connection string; with a managed identity leave it out'),
  LIFEBOAT_STORAGE__accountName: z
    .string()
    .regex(/^[a-z0-9]{3,24}$/)
    .optional()
    .describe('the name of the storage account alone, 3 to 24 characters of a-z and 0-9'),
  LIFEBOAT_STORAGE__clientId: z.uuid().optional().describe('the client id of the managed identity, a GUID'),
});
export type Settings = z.infer<typeof schema>;

/** Settings that others than this app read under its prefix: the Functions host, for the blob trigger. */
const settingsOfHost = [
  'LIFEBOAT_STORAGE__credential',
  'LIFEBOAT_STORAGE__blobServiceUri',
  'LIFEBOAT_STORAGE__queueServiceUri',
];

export const settingNames: readonly string[] = Object.keys(schema.shape);

type Environment = Readonly<Record<string, string | undefined>>;

function describe(field: z.ZodType): string {
  if (field.description !== undefined) return field.description;
  return field instanceof z.ZodDefault ? describe(field.unwrap() as z.ZodType) : 'what docs/settings.md says';
}

/** One line for each setting that is missing or wrong: its name, what is wrong, what to set. Never its value. */
function problemsOf(error: z.ZodError, given: Environment): string[] {
  const names = new Set(error.issues.map(({ path }) => String(path[0])));
  return [...names]
    .filter((name) => !isUnresolved(given[name]))
    .map((name) => {
      const remedy = describe(schema.shape[name as keyof typeof schema.shape]);
      if (given[name] === undefined) return `${name} is missing. Set it to ${remedy}.`;
      return `${name} is wrong. It must be ${remedy}.`;
    });
}

function storageProblem(settings: Environment): string[] {
  const { LIFEBOAT_STORAGE: text, LIFEBOAT_STORAGE__accountName: account } = settings;
  if (text !== undefined || account !== undefined) return [];
  return [
    'LIFEBOAT_STORAGE is missing. Set it to a connection string, or set LIFEBOAT_STORAGE__accountName to use the managed identity.',
  ];
}

/** The platform leaves a reference that it cannot follow as it is: long enough to pass for a key, and known to everybody. */
const isUnresolved = (value: string | undefined): boolean =>
  value?.startsWith('@Microsoft.KeyVault(') ?? false;

function referenceProblems(given: Environment): string[] {
  return settingNames
    .filter((name) => isUnresolved(given[name]))
    .map(
      (name) =>
        `${name} is a Key Vault reference that was not resolved. Check that the secret exists and that the app's identity is Key Vault Secrets User.`,
    );
}

/** Throws an Error that names every setting that is missing or wrong, with what to set; an empty value counts as missing. */
export function readSettings(environment: Environment): Settings {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  const problems = [
    ...referenceProblems(given),
    ...(parsed.error ? problemsOf(parsed.error, given) : []),
    ...storageProblem(given),
    ...credentialProblem(given),
  ];
  if (parsed.error || problems.length > 0) {
    throw new Error(`The app settings are not valid.\n  ${problems.join('\n  ')}\nSee docs/settings.md.`);
  }
  return parsed.data;
}

/** Settings with the app's prefix that nobody reads: misspelt, or of another version. Names only. */
export function unknownSettings(environment: Environment): string[] {
  const known = new Set([...settingNames, ...settingsOfHost].map((name) => name.toUpperCase()));
  return Object.keys(environment).filter(
    (name) => name.startsWith('LIFEBOAT_') && !known.has(name.toUpperCase()),
  );
}

/** An app that nobody can call, or that takes tokens for nobody in particular, is set up wrongly. */
function credentialProblem(settings: Environment): string[] {
  const {
    LIFEBOAT_ADMIN_KEY: key,
    LIFEBOAT_ENTRA_TENANT_ID: tenant,
    LIFEBOAT_ENTRA_AUDIENCE: audience,
  } = settings;
  if ((tenant === undefined) !== (audience === undefined))
    return ['LIFEBOAT_ENTRA_TENANT_ID and LIFEBOAT_ENTRA_AUDIENCE go together. Set both, or neither.'];
  if (key !== undefined || tenant !== undefined) return [];
  return [
    'LIFEBOAT_ADMIN_KEY is missing. Set it to a random text of at least 16 characters, or set LIFEBOAT_ENTRA_TENANT_ID and LIFEBOAT_ENTRA_AUDIENCE to take Entra tokens.',
  ];
}
