/** Signers that issue what was not asked for, over real TLS: told, nothing is taken into use, nothing is asked anew. */
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import type { SigningTask } from '../fixtures/cluster/settings.ts';
import { ApiWorld } from './fixtures/api-world.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

t.setTimeout(10 * MINUTE_MS);

const OTHER = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
const DAY_MS = 24 * HOUR_MS;
const ago = (ms: number): Date => new Date(Date.now() - ms);
const reversed = (pem: string): string =>
  (pem.match(/-----BEGIN[^]*?END CERTIFICATE-----\n/g) ?? []).reverse().join('');

/** `client` and `serving`: which certificate waits for hours; undefined: the certificate is fine. */
const SIGNERS: Readonly<
  Record<
    string,
    { readonly sign: (task: SigningTask) => string; readonly waits?: 'client' | 'serving'; readonly says?: RegExp }
  >
> = {
  "another key's certificate": {
    sign: (task) => task.issue({ publicKey: OTHER }).chainPem,
    waits: 'client',
    says: /another key/,
  },
  'an expired certificate': {
    sign: (task) => task.issue({ notBefore: ago(2 * DAY_MS), notAfter: ago(DAY_MS) }).chainPem,
    waits: 'client',
    says: /expired at/,
  },
  'a certificate without names': {
    sign: (task) => task.issue({ dnsNames: [], ipAddresses: [] }).chainPem,
    waits: 'serving',
    says: /missing requested DNS names \[edge-1\]/,
  },
  'a certificate for another node': {
    sign: (task) => task.issue({ commonName: 'system:node:other' }).chainPem,
    waits: 'client',
    says: /common name is system:node:other/,
  },
  'a chain in the wrong order': {
    sign: (task) => reversed(task.issue().chainPem),
    waits: 'client',
    says: /another key/,
  },
  'a CA certificate': {
    sign: (task) => task.issue({ isCa: true, usages: [...task.usages, 'cert sign'] }).chainPem,
    waits: 'client',
    says: /CA certificate/,
  },
  'a serving certificate that may sign certificates and nothing else': {
    sign: (task) =>
      task.issue(task.usages.includes('server auth') ? { usages: ['cert sign', 'server auth'] } : {}).chainPem,
    waits: 'serving',
    says: /cannot be served: a TLS handshake with it fails: unsuitable certificate purpose/,
  },
  garbage: { sign: () => 'garbage', waits: 'client', says: /no certificate/ },
  'garbage in PEM': {
    sign: () => '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    waits: 'client',
    says: /no certificate/,
  },
  'a chain with text around the PEM': { sign: (task) => `subject=CN\n${task.issue().chainPem}\nend of chain\n` },
};

for (const [name, { sign, waits, says }] of Object.entries(SIGNERS)) {
  t.test(
    `a signer that gives ${name}: ${waits === undefined ? 'fine' : `the ${waits} certificate waits for an hour`}`,
    async (t) => {
      const world = await ApiWorld.open({ sign, chainLength: 2 });
      t.teardown(() => world.close());
      world.node.start();
      await world.pass(2 * MINUTE_MS);
      if (waits !== undefined) {
        const { phase, lastError, nextAttempt } = world.node.manager(waits);
        t.match(
          { phase, lastError },
          { phase: 'waiting to retry', lastError: { code: 'ERR_ISSUED_UNACCEPTABLE', message: says } },
        );
        const aheadMs = (nextAttempt?.getTime() ?? 0) - world.clock.now().getTime();
        t.ok(aheadMs > 30 * MINUTE_MS && aheadMs <= HOUR_MS, `next attempt in ${String(aheadMs)} ms`);
        await world.restart();
        await world.pass(2 * MINUTE_MS);
        t.equal(world.cluster.csrs.length, waits === 'client' ? 1 : 2, 'nothing is asked anew, also after a restart');
      }
      world.cluster.settings.sign = undefined;
      for (let left = 80; left > 0 && !world.node.upToDate; left -= 1) await world.pass(MINUTE_MS, MINUTE_MS);
      t.ok(world.node.upToDate, 'and when the signer is mended, all comes');
    },
  );
}

t.teardown(() => console.log(`# figure bad signers tried: ${String(Object.keys(SIGNERS).length)}`));
