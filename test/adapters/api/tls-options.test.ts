import t from 'tap';
import { proxyTls, serverTls, type TlsTrust } from '../../../src/adapters/api/tls-options.ts';
import { proxyOf } from '../../fixtures/proxy-url.ts';

const NOBODY: TlsTrust = { caPem: undefined, insecureSkipTlsVerify: false, tlsServerName: undefined, pair: undefined };
const PROXY = proxyOf('https://proxy.example:3128');

t.test(
  "the host's roots were read twice and more for each connection: hosts have them in a file and in a folder",
  async (t) => {
    for (const { ca } of [serverTls(NOBODY, 'cluster.test'), proxyTls(PROXY, NOBODY)]) {
      t.ok(ca.length > 0);
      t.equal(new Set(ca).size, ca.length);
    }
  },
);

t.test(
  "the host's roots were read for a connection on which nobody is refused, as the first look of join",
  async (t) => {
    const insecure = { ...NOBODY, insecureSkipTlsVerify: true };
    for (const { ca } of [serverTls(insecure, 'cluster.test'), proxyTls(PROXY, insecure)]) t.strictSame(ca, []);
  },
);
