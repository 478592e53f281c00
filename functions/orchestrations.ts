// Registers the orchestrators under the names that the product starts them by.
import * as df from 'durable-functions';
import { enableProtection } from '../orchestrators/enableProtection.ts';
import { enableProtectionName } from '../lib/protection/orchestrations.ts';

df.app.orchestration(enableProtectionName, enableProtection);
