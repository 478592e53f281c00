// Requests that cannot be served as they are.
import { entry } from './entry.ts';

export const requestsErrors = {
  Unauthorized: entry(
    'invalid',
    401,
    'The Authorization header is missing or carries another key.',
    'Send "Authorization: Bearer <key>"; the local key is adminKey in local.json.',
  ),
  ResourceNotFound: entry(
    'invalid',
    404,
    'The name is wrong, or the resource was not created or was removed.',
    'List the parent collection to see what exists.',
  ),
  MethodNotAllowed: entry(
    'invalid',
    405,
    'The resource exists but does not know this verb.',
    'See docs/api.md for the verbs of each resource.',
  ),
  Forbidden: entry(
    'invalid',
    403,
    'The caller is known, but its role or its identity does not allow this.',
    'Ask an Owner of the vault for the role that the message names; a host may touch the machines of its own inventory only.',
  ),
  RegistrationRefused: entry(
    'invalid',
    401,
    'The registration key is wrong, was used already, expired (5 days) or was revoked.',
    'Make a new registration key for the site and register the host with it.',
  ),
  ConditionNotMet: entry(
    'invalid',
    412,
    'The resource changed since the ETag of If-Match was read, or does not exist.',
    'Read the resource again, and repeat the request with its ETag if it still makes sense.',
  ),
  RequestTooLarge: entry(
    'invalid',
    413,
    'The body is larger or nested deeper than a request of this API can be.',
    'Send a smaller body; the message names the limit.',
  ),
  TooManyRequests: entry(
    'transient',
    429,
    'The caller sent more requests in a short time than its share.',
    'Wait as long as Retry-After says, then send the request again.',
  ),
  ScenarioUnsupported: entry(
    'invalid',
    400,
    'The operation belongs to VMware, physical machines or Azure-to-Azure; this service replicates Hyper-V to Azure.',
    'Use the operation that the message names instead, if it names one.',
  ),
  NotAvailable: entry(
    'invalid',
    501,
    'This version of the service knows the operation but cannot perform it.',
    'See docs/api-coverage.md for what this version performs.',
  ),
  InvalidRequest: entry(
    'invalid',
    400,
    'A field is missing, has the wrong type or an impossible value.',
    'Correct the named field and send the request again.',
  ),
  InvalidName: entry(
    'invalid',
    400,
    'The name has characters or a length that blob names and ids cannot carry.',
    'Use 1 to 64 characters of a-z, 0-9 and "-".',
  ),
  OperationNotSupportedInState: entry(
    'invalid',
    409,
    'The resource is in a state that does not allow the operation.',
    'Look at allowedOperations of the resource, and at its current job.',
  ),
  ItemBusy: entry(
    'invalid',
    409,
    'Another job is running on the protected item.',
    'Wait for the named job to end, then send the request again.',
  ),
  ConcurrentUpdate: entry(
    'transient',
    409,
    'The resource changed while this request was being processed.',
    'Send the request again.',
  ),
  DiskUnsupported: entry(
    'invalid',
    400,
    'A disk is too large for a page blob (8 TiB), empty, or not a multiple of 512 bytes.',
    'Exclude the disk (disksToInclude), or shrink it.',
  ),
  TargetInvalid: entry(
    'invalid',
    400,
    'A name or id of the machine that a failover will make is not allowed in Azure, or is taken.',
    'Correct the named field with an update of the protected item, or in the request to protect it; then restart the job.',
  ),
  DiskNotProtected: entry(
    'invalid',
    404,
    'The disk is not one of the protected disks of the item.',
    'GET /agent/v1/assignments lists items and disks.',
  ),
  StateFromNewerVersion: entry(
    'fatal',
    500,
    'A newer version of Lifeboat has written to this storage account, and an older one was deployed after it.',
    'Deploy the newer version again; nothing was changed.',
  ),
};
