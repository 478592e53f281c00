// The command line of QEMU for a recovered machine. Paths are relative to the job's folder, where QEMU is started.
import type { MachineOrder } from '../port.ts';

export interface QemuChoices {
  accelerator: 'kvm' | 'tcg';
  memoryMb: number;
  processors: number;
  /** UEFI code for generation 2 machines, and the copy of its variables that this machine owns. */
  firmware: { codePath: string; variablesPath: string } | undefined;
  qmpPath: string;
}

/** Disks that a PC's own IDE controller takes. */
const ideDisks = 4;
const disksPerAhci = 6;

/** How the process is recognized, whatever its id. */
export const processName = ({ jobId }: Pick<MachineOrder, 'jobId'>): string => `lifeboat-${jobId}`;
export const diskFileName = (disk: string): string => `${disk}.raw`;
export const consoleFileName = 'console.log';
export const pidFileName = 'qemu.pid';

/** Commas separate QEMU's options; one that is meant is doubled. */
const path = (text: string): string => text.replaceAll(',', ',,');

/** All arguments. The machine has no network at all, so that it can do nothing but show that it boots. */
export function qemuArguments(order: MachineOrder, choices: QemuChoices): string[] {
  const isUefi = order.generation === '2';
  return [
    ...['-name', processName(order)],
    ...['-machine', isUefi ? 'q35' : 'pc', '-accel', choices.accelerator],
    ...['-m', String(choices.memoryMb), '-smp', String(choices.processors)],
    ...['-nodefaults', '-vga', 'std', '-display', 'none', '-monitor', 'none', '-nic', 'none'],
    ...['-chardev', `file,id=console,path=${consoleFileName}`, '-serial', 'chardev:console'],
    ...['-qmp', `unix:${path(choices.qmpPath)},server=on,wait=off`, '-pidfile', pidFileName],
    ...['-boot', 'strict=on,reboot-timeout=1000'],
    // A test that reboots has nothing more to show, and a panic loop would go on for ever.
    ...(order.purpose === 'test' ? ['-no-reboot'] : []),
    ...(isUefi ? firmwareArguments(choices) : []),
    ...order.disks.flatMap(({ disk }, index) =>
      isUefi ? nvmeArguments(disk, index) : ideArguments(disk, index),
    ),
  ];
}

function firmwareArguments({ firmware }: QemuChoices): string[] {
  if (!firmware) return [];
  return [
    ...['-drive', `if=pflash,format=raw,readonly=on,file=${path(firmware.codePath)}`],
    ...['-drive', `if=pflash,format=raw,file=${path(firmware.variablesPath)}`],
  ];
}

const drive = (disk: string, index: number): string =>
  `if=none,id=disk${index},format=raw,discard=unmap,file=${diskFileName(disk)}`;

function nvmeArguments(disk: string, index: number): string[] {
  const device = `nvme,drive=disk${index},serial=lifeboat${index},bootindex=${index}`;
  return ['-drive', drive(disk, index), '-device', device];
}

/** A generation 1 guest knows IDE; what does not fit there is put on AHCI controllers. */
function ideArguments(disk: string, index: number): string[] {
  if (index < ideDisks) {
    const [bus, unit] = [Math.floor(index / 2), index % 2];
    const device = `ide-hd,drive=disk${index},bus=ide.${bus},unit=${unit},bootindex=${index}`;
    return ['-drive', drive(disk, index), '-device', device];
  }
  const port = (index - ideDisks) % disksPerAhci;
  const controller = Math.floor((index - ideDisks) / disksPerAhci);
  return [
    ...(port === 0 ? ['-device', `ahci,id=ahci${controller}`] : []),
    ...['-drive', drive(disk, index)],
    ...['-device', `ide-hd,drive=disk${index},bus=ahci${controller}.${port}`],
  ];
}
