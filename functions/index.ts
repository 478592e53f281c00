// The bundle's entry: importing a file registers its functions.
import './blob/blobClientFactory.ts';
import './activities/register.ts';
import './blob/deltaUploaded.ts';
import './http/api.ts';
import './http/health.ts';
import './orchestrations.ts';
import './timer/drillTick.ts';
import './timer/healthTick.ts';
import './timer/purge.ts';
import './timer/reconcile.ts';
import './timer/recoverySweep.ts';
import './timer/resyncTick.ts';
import './timer/retentionTick.ts';
import './timer/retryTick.ts';
import './timer/scrubTick.ts';
