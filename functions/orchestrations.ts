// Registers the orchestrators.
import * as df from 'durable-functions';
import { orchestrators } from '../orchestrators/table.ts';

for (const [kind, orchestrator] of Object.entries(orchestrators)) df.app.orchestration(kind, orchestrator);
