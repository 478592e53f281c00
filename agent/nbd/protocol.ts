// Numbers of the NBD protocol (the reading half), and the limits within which a server is believed.

export const handshakeMagic = 'NBDMAGICIHAVEOPT';
export const optionMagic = 0x4948_4156_454f_5054n;
export const optionReplyMagic = 0x0003_e889_0455_65a9n;
export const requestMagic = 0x2560_9513;
export const simpleReplyMagic = 0x6744_6698;
export const structuredReplyMagic = 0x668e_33ef;

export const handshakeFlags = { fixedNewstyle: 1, noZeroes: 2 } as const;
export const option = { abort: 2, go: 7, structuredReply: 8, setMetaContext: 10 } as const;
export const optionReply = { ack: 1, info: 3, metaContext: 4 } as const;
export const optionError: Readonly<Record<number, string>> = {
  1: 'the server does not know the option',
  2: 'the server forbids it',
  3: 'the server found the request invalid',
  5: 'the server demands TLS',
  6: 'there is no such export',
  7: 'the server is shutting down',
  8: 'the server demands that block sizes are asked for',
  9: 'the request is too large for the server',
};
export const unsupportedOption = 1;
export const info = { export: 0, blockSize: 3 } as const;
export const command = { read: 0, disconnect: 2, blockStatus: 7 } as const;
export const chunk = { none: 0, data: 1, hole: 2, blockStatus: 5, errorBit: 0x8000, doneFlag: 1 } as const;

/** Flags of extents. */
export const allocationFlag = { hole: 1, zero: 2 } as const;
export const dirtyFlag = 1;

/** Largest reply to an option that is believed; the protocol's texts have at most 4096 bytes. */
export const maxOptionReplyBytes = 16 * 1024;
export const maxOptionReplies = 256;
/** Largest reply to BLOCK_STATUS that is believed; QEMU's have at most 1 MiB. */
export const maxStatusBytes = 2 * 1024 * 1024;
export const maxErrorBytes = 64 * 1024 + 16;
/** Pieces in which one read may be answered before they touch each other. */
export const maxPieces = 1024;
/** One read request: what keeps a connection busy at depth 8. */
export const maxReadBytes = 1024 * 1024;
/** BLOCK_STATUS counts in 32 bits. */
export const maxStatusWindowBytes = 2 ** 32 - 2 ** 16;
/** QEMU serves so many requests of a connection at once. */
export const maxInFlight = 16;

/** Names of the errors that servers send. */
export const errorNames: Readonly<Record<number, string>> = {
  1: 'EPERM',
  5: 'EIO',
  12: 'ENOMEM',
  22: 'EINVAL',
  28: 'ENOSPC',
  75: 'EOVERFLOW',
  95: 'ENOTSUP',
  108: 'ESHUTDOWN',
};
