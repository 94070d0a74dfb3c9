import { fstatSync } from 'node:fs';

/** What `fstat` tells of a stream's file. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/**
 * Whether standard error goes to the journal itself. systemd sets `JOURNAL_STREAM` to device and inode of the stream it
 * gave out, and children inherit the variable even when their output was redirected, so both must match (systemd.exec(5)).
 */
export function isJournalStream(journalStream: string | undefined, file: FileIdentity | undefined): boolean {
  return file !== undefined && journalStream === `${String(file.dev)}:${String(file.ino)}`;
}

/** Identity of an open file; undefined when it is closed. */
export function fileIdentity(descriptor: number): FileIdentity | undefined {
  try {
    const { dev, ino } = fstatSync(descriptor, { bigint: true });
    return { dev, ino };
  } catch {
    // A closed descriptor is no journal.
    return undefined;
  }
}
