// What a source host reports of its machines and disks.
import { entry } from './entry.ts';

export const sourceErrors = {
  BrokenVhdChain: entry(
    'fatal',
    409,
    'A differencing disk of the machine names a parent that is missing or was changed.',
    'Repair the chain on the source host (reconnect or restore the parent disk), then resume replication.',
  ),
  InvalidReplicaState: entry(
    'fatal',
    409,
    'The host reports a replication relationship that contradicts the service (removed, reversed or restored on the host).',
    'Compare the state on the host with the protected item; disable and enable protection if they cannot be reconciled.',
  ),
  NetworkAuthenticationFailed: entry(
    'fatal',
    401,
    'A proxy or firewall between source and service refused the connection, or broke its TLS certificate chain.',
    'Check the proxy credentials and the trusted certificates on the source host, then resume replication.',
  ),
  AuthenticationFailed: entry(
    'fatal',
    401,
    'The credentials of the source host are wrong, expired or were revoked.',
    'Register the source host again, then resume replication.',
  ),
  VmNotFound: entry(
    'fatal',
    404,
    'The machine was removed from the source host, or moved to a host that does not report to this site.',
    'Move it back or register its new host, then resume replication; otherwise disable protection of the item.',
  ),
  NetworkUnavailable: entry(
    'transient',
    503,
    'The source host cannot reach the service or its storage: no route, no name resolution, or a closed port 443.',
    'Nothing to do: it is tried again. If it stays, check the network, proxy and firewall of the source host.',
  ),
  LowDiskSpace: entry(
    'transient',
    507,
    'A volume of the source host has too little space for a checkpoint or for the log of changes.',
    'Free or add space on the named volume; replication goes on by itself.',
  ),
  LowMemory: entry(
    'transient',
    503,
    'The source host has too little memory to read the changes.',
    'Nothing to do: it is tried again. If it stays, give the host more memory or replicate less at once.',
  ),
  SourceBusy: entry(
    'transient',
    409,
    'Another operation holds the machine on its host: a backup, a merge of checkpoints, a migration.',
    'Nothing to do: it is tried again when the other operation has ended.',
  ),
  SourceReadFailed: entry(
    'transient',
    500,
    'The source host could not read a disk of the machine.',
    'Nothing to do: it is tried again. If it stays, check the storage of the source host.',
  ),
  SnapshotFailed: entry(
    'transient',
    500,
    'The source host could not take or release a checkpoint of the machine.',
    'Nothing to do: it is tried again. If it stays, look at the event log of the host and at leftover checkpoints.',
  ),
  VssWriterFailed: entry(
    'transient',
    500,
    'A VSS writer in the guest failed or timed out, so that no application-consistent point was taken.',
    'Run "vssadmin list writers" in the guest and restart the service of the failed writer. Crash-consistent points go on.',
  ),
  GuestServicesUnavailable: entry(
    'transient',
    503,
    'The integration services or the guest agent do not answer, so that no application-consistent point was taken.',
    'Start or update them in the guest. Crash-consistent points go on.',
  ),
  TrackingLost: entry(
    'divergent',
    409,
    'The record of changes was lost or not closed cleanly: the host crashed, or could not write its log.',
    'Nothing to do: the item is resynchronized in the off-hours window. Start a resynchronization to have it sooner.',
  ),
  DiskChangedOffline: entry(
    'divergent',
    409,
    'A disk was changed while nothing recorded its changes (mounted, edited, or restored from a backup).',
    'Nothing to do: the item is resynchronized in the off-hours window. Start a resynchronization to have it sooner.',
  ),
  DiskImageCorrupt: entry(
    'fatal',
    409,
    'The image file is truncated or damaged, or something else than the named format.',
    'Check the disk on its host (Test-VHD, qemu-img check) and repair or restore it; then resume replication.',
  ),
  DiskImageUnsupported: entry(
    'invalid',
    400,
    'The image has a format or a required feature that is not known here, or its name and its content disagree.',
    'Name the format, or convert the disk with qemu-img or Convert-VHD.',
  ),
  SourceUnavailable: entry(
    'transient',
    503,
    'The program that serves the disk (QEMU, qemu-nbd, an NBD server) is not running, ended, or does not answer.',
    'Start the machine or the server. It is tried again by itself.',
  ),
  SourceAnswerInvalid: entry(
    'fatal',
    502,
    'The server of the disk broke the NBD or QMP protocol, or lacks what is needed of it.',
    'Check that the address is that of the right server, and its version (QEMU 7.1 or later for live tracking).',
  ),
  TrackerBusy: entry(
    'invalid',
    409,
    'A cycle of this machine is still open.',
    'Confirm or abort it first; a second agent must not track the same machine.',
  ),
  SourceMachineRunning: entry(
    'transient',
    409,
    'The machine still runs on its source host, or whether it runs cannot be told, so its last cycle cannot be cut or its disks cannot be written.',
    'Shut the machine down on its host, or mend the commands of "power" in agent.yaml. It is tried again by itself.',
  ),
  PowerNotConfigured: entry(
    'fatal',
    409,
    'A failover or failback needs the machine to be off, and agent.yaml does not say how the agent finds out.',
    'Add "power" to the machine in agent.yaml (docs/agent.md) and start the agent again; it goes on where it was.',
  ),
  SourceDiskUnknown: entry(
    'fatal',
    409,
    'The disk that a failback would write is not the one that was replicated (size, identity), or has a format that cannot be written.',
    'Name the right disk in agent.yaml, or make a raw image, fixed VHD or VHDX of the same size and name that; start the agent again.',
  ),
};
