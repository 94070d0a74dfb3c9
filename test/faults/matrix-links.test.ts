/** What listens where an API server should, over real sockets: TLS alerts, silence, black holes, nobody. */
import t, { type Test } from 'tap';
import type { ErrorCode } from '../../src/errors.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { withoutOpenssl } from '../fixtures/openssl.ts';
import { REQUESTS, waits } from './fixtures/api-cells.ts';
import { differences, problemsAfter } from './fixtures/api-differences.ts';
import { ApiWorld, IMPATIENT } from './fixtures/api-world.ts';
import { listenDeaf, listenDemanding, listenRaw, listenWithAlert, type OddListener } from './fixtures/odd-listeners.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
let cells = 0;

t.setTimeout(10 * MINUTE_MS);

interface LinkRow {
  readonly name: string;
  readonly listen: (port: number) => Promise<OddListener | undefined>;
  readonly code: ErrorCode;
  readonly says: RegExp;
  readonly remedy: RegExp;
  /** How long on the fake clock; a silent peer costs real time at each attempt. */
  readonly forMs: number;
}

const alerts: readonly LinkRow[] = (
  [
    [40, 'handshake_failure', 'ERR_API_TLS', /TLS handshake failed|handshake/],
    [70, 'protocol_version', 'ERR_API_TLS', /handshake/],
    [80, 'internal_error', 'ERR_API_TLS', /handshake/],
    [112, 'unrecognized_name', 'ERR_API_TLS', /handshake/],
    [49, 'access_denied', 'ERR_API_UNAUTHORIZED', /demands a client certificate.*access denied/],
  ] as const
).map(([description, name, code, says]) => ({
  name: `a fatal TLS alert ${name} in answer to the ClientHello`,
  listen: (port) => listenWithAlert(port, description),
  code,
  says,
  remedy: /./,
  forMs: 10 * MINUTE_MS,
}));

const LINKS: readonly LinkRow[] = [
  ...alerts,
  {
    name: 'nobody listens',
    listen: async () => undefined,
    code: 'ERR_API_UNREACHABLE',
    says: /nothing listens there/,
    remedy: /nc -vz 127\.0\.0\.1/,
    forMs: HOUR_MS,
  },
  {
    name: 'a link that takes the connection and never answers',
    listen: (port) => listenRaw(port, () => undefined),
    code: 'ERR_API_UNREACHABLE',
    says: /no connection in time/,
    remedy: /route, firewall and proxy/,
    forMs: 15_000,
  },
  {
    name: 'a connection that is closed before TLS',
    listen: (port) => listenRaw(port, (socket) => void socket.end()),
    code: 'ERR_API_UNREACHABLE',
    says: /the connection was reset/,
    remedy: /route, firewall and proxy/,
    forMs: 10 * MINUTE_MS,
  },
  {
    name: 'a SYN that is never answered',
    listen: listenDeaf,
    code: 'ERR_API_UNREACHABLE',
    says: /no connection in time/,
    remedy: /route, firewall and proxy/,
    forMs: 15_000,
  },
];

/** The server is gone and something else has its port; then it is back. */
async function problemsOf(t: Test, row: LinkRow): Promise<readonly string[]> {
  cells += 1;
  const world = await ApiWorld.open({}, { timeouts: IMPATIENT });
  try {
    await world.cluster.stop();
    const odd = await row.listen(world.cluster.port);
    try {
      world.node.start();
      await world.pass(row.forMs, 2_000);
      t.match(world.node.manager('client').lastError, { message: row.says, remedy: row.remedy });
      t.ok((odd?.count() ?? 1) > 0, 'it was asked');
      return differences(world, waits(row.code));
    } finally {
      await odd?.close();
      await world.cluster.start();
      t.strictSame(await problemsAfter(world, 2), [], 'and when the server is back, all comes');
    }
  } finally {
    await world.close();
  }
}

for (const row of LINKS) {
  t.test(`${row.name}: waits, told as ${row.code}`, { skip: skipOf(row) }, async (t) => {
    t.strictSame(await problemsOf(t, row), []);
  });
}

/** What a full queue does to a SYN is Linux's own way. */
function skipOf(row: LinkRow): string | false {
  return row.listen === listenDeaf && process.platform !== 'linux' ? 'needs Linux' : false;
}

for (const version of ['-tls1_2', '-tls1_3']) {
  t.test(
    `an alert over the client certificate just issued, ${version}: the pair is kept, and told as refused in the handshake`,
    { skip: withoutOpenssl },
    async (t) => {
      cells += 1;
      const world = await ApiWorld.open();
      t.teardown(() => world.close());
      // Until the other server has the port the proof finds nobody.
      world.cluster.faults.add({ kind: 'reset', at: 'request' }, REQUESTS.review);
      world.node.start();
      await world.settle();
      await world.cluster.stop();
      const { chainPem, keyPem } = world.cluster.serverCa.issue({ commonName: 'balancer', ipAddresses: ['127.0.0.1'] });
      const odd = await listenDemanding(world.cluster.port, {
        folder: t.testdir(),
        pairPem: chainPem + keyPem,
        clientCaPem: createAuthority({ name: 'another client CA' }).pem,
        version,
      });
      await world.pass(4 * MINUTE_MS, 2_000);
      const { phase, lastError, pending, nextAttempt } = world.node.manager('client');
      t.match(
        { phase, lastError, pending },
        {
          phase: 'waiting to retry',
          lastError: {
            code: 'ERR_ISSUED_UNPROVEN',
            message:
              /does not accept the certificate just issued.*ends the TLS handshake over the client certificate.*unknown ca/,
            remedy: /--client-ca-file.*load balancer/,
          },
          pending: { received: true },
        },
      );
      const aheadMs = (nextAttempt?.getTime() ?? Number.NaN) - world.clock.now().getTime();
      t.ok(aheadMs > 0 && aheadMs <= 5 * MINUTE_MS, `next attempt in ${String(aheadMs)} ms`);
      await odd.close();
      world.cluster.faults.clear();
      await world.cluster.start();
      t.strictSame(await problemsAfter(world, 2), [], 'the same pair becomes current when the server takes it');
    },
  );
}

t.teardown(() => console.log(`# figure links tried: ${String(cells)}`));
