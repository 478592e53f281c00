// The message that asks for one run of a blob function: the same JSON as the real host's, in the same queues.

export interface BlobMessage {
  Type: 'BlobTrigger';
  FunctionId: string;
  BlobType: string;
  ContainerName: string;
  BlobName: string;
  /** Absent for an Event Grid event: such a message is not checked against the blob's version. */
  ETag?: string;
}

export const blobQueuePrefix = 'azure-webjobs-blobtrigger';
export const poisonQueueName = 'webjobs-blobtrigger-poison';

/** The function's name in messages, receipts and webhook addresses. */
export function toFunctionId(functionName: string): string {
  return `Host.Functions.${functionName}`;
}

export function formatBlobMessage(message: BlobMessage): string {
  return Buffer.from(JSON.stringify(message)).toString('base64');
}

/** Undefined for a text that is no such message. */
export function parseBlobMessage(text: string): BlobMessage | undefined {
  try {
    const message = JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as Partial<BlobMessage> | null;
    const isComplete = [message?.FunctionId, message?.ContainerName, message?.BlobName].every(
      (part) => typeof part === 'string',
    );
    return isComplete ? (message as BlobMessage) : undefined;
  } catch {
    return undefined;
  }
}
