import { createHash } from 'node:crypto';

/**
 * Four hex digits of SHA-256: enough to tell a secret that has changed from the one before, and so few that none can be found or checked by
 * them, however short it is. One in 65536 looks unchanged.
 */
export const shortDigest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 4);
