// The bundle's entry: importing a file registers its functions.
import './blob/blobClientFactory.ts';
import './activities/enableProtection.ts';
import './blob/deltaUploaded.ts';
import './http/api.ts';
import './http/health.ts';
import './orchestrations.ts';
import './timer/reconcile.ts';
