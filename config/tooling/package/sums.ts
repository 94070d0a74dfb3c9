/** SHA256SUMS, and its signature. */
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes `SHA256SUMS` over files of the folder, in the order of their names, as sha256sum(1) reads it. */
export function writeSums(folder: string, names: readonly string[]): void {
  const lines = [...names].sort().map((name) => `${sha256(readFileSync(join(folder, name)))}  ${name}\n`);
  writeFileSync(join(folder, 'SHA256SUMS'), lines.join(''));
}

export const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

/**
 * Writes `SHA256SUMS.sig`, which `openssl dgst -sha256 -verify` reads. The key is a PEM file with a private key, RSA or EC: OpenSSL 1.1.1, which hosts
 * still have, verifies no other kind from its command line. Throws for any other key.
 */
export function signSums(folder: string, keyPath: string): void {
  const key = createPrivateKey(readFileSync(keyPath));
  if (key.asymmetricKeyType !== 'rsa' && key.asymmetricKeyType !== 'ec')
    throw new Error(
      `${keyPath}: a key of type ${String(key.asymmetricKeyType)} signs nothing here: RSA or EC (openssl ecparam -name prime256v1 -genkey -noout)`,
    );
  writeFileSync(join(folder, 'SHA256SUMS.sig'), sign('sha256', readFileSync(join(folder, 'SHA256SUMS')), key));
}
