// The app's settings, read once from the environment. local.settings.sample.json documents every one of them.
import * as z from 'zod';

const schema = z.object({
  LIFEBOAT_VAULT_ID: z
    .string()
    .regex(
      /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.RecoveryServices\/vaults\/[^/]+$/i,
      'must be /subscriptions/<id>/resourceGroups/<name>/providers/Microsoft.RecoveryServices/vaults/<name>',
    ),
  LIFEBOAT_ADMIN_KEY: z.string().min(16, 'must have at least 16 characters').optional(),
  LIFEBOAT_ENTRA_TENANT_ID: z.guid('must be the id of a tenant').toLowerCase().optional(),
  LIFEBOAT_ENTRA_AUDIENCE: z.string().min(1).optional(),
  LIFEBOAT_ENTRA_AUTHORITY: z.url({ protocol: /^https?$/ }).default('https://login.microsoftonline.com'),
  LIFEBOAT_REQUESTS_PER_SECOND: z.coerce.number().int().min(1).max(100_000).default(100),
  LIFEBOAT_PUBLIC_URL: z.url({ protocol: /^https?$/ }),
  LIFEBOAT_UPLOAD_URL_MINUTES: z.coerce.number().int().min(5).max(1440).default(60),
  LIFEBOAT_VERIFY: z.enum(['none', 'readback'], "must be 'none' or 'readback'").default('none'),
  LIFEBOAT_RESYNCS_AT_ONCE: z.coerce.number().int().min(1).max(100).default(2),
  LIFEBOAT_JOB_RETENTION_DAYS: z.coerce.number().int().min(1).max(365).default(30),
  LIFEBOAT_COMPUTE: z.enum(['vhd', 'azure', 'qemu'], "must be 'vhd', 'azure' or 'qemu'").default('vhd'),
  LIFEBOAT_COMPUTE_LOCATION: z.string().optional(),
  LIFEBOAT_STORAGE_ID: z.string().optional(),
  LIFEBOAT_ARM_ENDPOINT: z.url({ protocol: /^https$/ }).default('https://management.azure.com'),
  LIFEBOAT_QEMU: z.string().default('qemu-system-x86_64'),
  LIFEBOAT_QEMU_FOLDER: z.string().optional(),
  LIFEBOAT_QEMU_MEMORY_MB: z.coerce.number().int().min(16).max(1_048_576).default(1024),
  LIFEBOAT_STORAGE: z.string().optional(),
  LIFEBOAT_STORAGE__accountName: z.string().optional(),
  LIFEBOAT_STORAGE__clientId: z.string().optional(),
});
export type Settings = z.infer<typeof schema>;

/** Throws an Error that names every setting that is missing or wrong. */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new Error(`App settings are not valid. ${problems.join('; ')}. See local.settings.sample.json.`);
  }
  const settings = parsed.data;
  if (settings.LIFEBOAT_STORAGE === undefined && settings.LIFEBOAT_STORAGE__accountName === undefined) {
    throw new Error(
      'App settings are not valid. Set LIFEBOAT_STORAGE (connection string) or LIFEBOAT_STORAGE__accountName (managed identity).',
    );
  }
  requireCredentials(settings);
  return settings;
}

/** An app that nobody can call, or that takes tokens for nobody in particular, is set up wrongly. */
function requireCredentials(settings: Settings): void {
  const { LIFEBOAT_ENTRA_TENANT_ID: tenantId, LIFEBOAT_ENTRA_AUDIENCE: audience } = settings;
  if ((tenantId === undefined) !== (audience === undefined)) {
    throw new Error(
      'App settings are not valid. LIFEBOAT_ENTRA_TENANT_ID and LIFEBOAT_ENTRA_AUDIENCE go together.',
    );
  }
  if (settings.LIFEBOAT_ADMIN_KEY === undefined && tenantId === undefined) {
    throw new Error(
      'App settings are not valid. Set LIFEBOAT_ADMIN_KEY, or LIFEBOAT_ENTRA_TENANT_ID and LIFEBOAT_ENTRA_AUDIENCE.',
    );
  }
}
