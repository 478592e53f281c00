// Azurite's classes. It has no public API, so they are reached by path; the version is pinned in package.json.
import blobConfiguration from 'azurite/dist/src/blob/BlobConfiguration.js';
import blobServer from 'azurite/dist/src/blob/BlobServer.js';
import queueConfiguration from 'azurite/dist/src/queue/QueueConfiguration.js';
import queueServer from 'azurite/dist/src/queue/QueueServer.js';
import tableConfiguration from 'azurite/dist/src/table/TableConfiguration.js';
import tableServer from 'azurite/dist/src/table/TableServer.js';

/** By service: what makes a configuration, and what makes a service of one. */
export const azurite = {
  blob: { Configuration: blobConfiguration.default, Service: blobServer.default },
  queue: { Configuration: queueConfiguration.default, Service: queueServer.default },
  table: { Configuration: tableConfiguration.default, Service: tableServer.default },
};
