// The bundle's entry: importing a file registers its functions.
import './startUp.ts';
import './blob/blobClientFactory.ts';
import './activities/register.ts';
import './blob/deltaUploaded.ts';
import './http/api.ts';
import './http/health.ts';
import './http/metrics.ts';
import './orchestrations.ts';
import './timer/fleetTick.ts';
import './timer/purge.ts';
import './timer/reconcile.ts';
import './timer/recoverySweep.ts';
import './timer/sweepAccess.ts';
import './timer/tick.ts';
