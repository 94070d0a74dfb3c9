import { inspect } from 'node:util';
import t from 'tap';
import { parseProxyUrl, ProxyUrl } from '../../src/kubeconfig/proxy-url.ts';
import { proxyOf } from '../fixtures/proxy-url.ts';

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

// Accepted and refused as kubectl does with proxy-url.
for (const row of [
  { name: 'host and port', text: 'http://p:3128', origin: 'http://p:3128' },
  { name: 'the port of http', text: 'http://p', origin: 'http://p:80' },
  { name: 'the port of https', text: 'HTTPS://P', origin: 'https://p:443' },
  { name: 'an empty port', text: 'http://p:', origin: 'http://p:80' },
  { name: 'a path', text: 'http://p:3128/foo', origin: 'http://p:3128' },
  { name: 'a query and a fragment', text: 'http://p:3128?x=1#y', origin: 'http://p:3128' },
  { name: 'an IPv6 address', text: 'http://[fd00::1]:1', origin: 'http://[fd00::1]:1' },
  { name: 'a name with an underscore', text: 'http://p_x:1', origin: 'http://p_x:1' },
  { name: 'a name beyond ASCII', text: 'http://b\u00fccher.test:1', origin: 'http://xn--bcher-kva.test:1' },
  { name: 'a user without password', text: 'http://u@p:1', origin: 'http://p:1', access: 'u:' },
  { name: 'escapes', text: 'http://us%20er:p%40s%2Fs%25@p:1', origin: 'http://p:1', access: 'us er:p@s/s%' },
  { name: 'an @ in the password', text: 'http://u:a@b@p:1', origin: 'http://p:1', access: 'u:a@b' },
  { name: 'a colon in the password', text: 'http://u:a:b@p:1', origin: 'http://p:1', access: 'u:a:b' },
]) {
  t.test(`proxy-url with ${row.name}`, async (t) => {
    const proxy = proxyOf(row.text);
    t.equal(proxy.origin, row.origin);
    t.equal(proxy.authorization?.reveal(), row.access === undefined ? undefined : basic(row.access));
    t.equal(proxy.reveal(), row.text, 'as it stands in the file');
    const again = proxyOf(proxy.normal.reveal());
    t.same([again.origin, again.authorization?.reveal()], [proxy.origin, proxy.authorization?.reveal()]);
  });
}

for (const row of [
  { name: 'a raw % in the password', text: 'http://u:hidden%@p:1', mend: /%25/ },
  { name: 'a raw / in the password', text: 'http://u:hid/hidden@p:1', mend: /%2F/ },
  { name: 'a raw ? in the password', text: 'http://u:hid?hidden@p:1', mend: /%3F/ },
  { name: 'a raw # in the password', text: 'http://u:1#hidden@p:1', mend: /%23/ },
  { name: 'a blank in the password', text: 'http://u:hid den@p:1', mend: /%20/ },
  { name: 'a quote in the password', text: 'http://u:"hidden"@p:1', mend: /escapes/ },
  { name: 'an escape that is no UTF-8', text: 'http://u:%ffhidden@p:1', mend: /escapes/ },
  { name: 'no scheme', text: 'u:hidden@p:1', mend: /http:\/\/HOST:PORT/ },
  { name: 'one slash', text: 'http:/u:hidden@p:1', mend: /http:\/\/HOST:PORT/ },
  { name: 'another scheme', text: 'ftp://u:hidden@p:1', mend: /http:\/\/HOST:PORT/ },
  { name: 'SOCKS', text: 'socks5://u:hidden@p:1', mend: /CONNECT/ },
  { name: 'no host', text: 'http://u:hidden@', mend: /HOST/ },
  { name: 'a port too large', text: 'http://u:hidden@p:65536', mend: /HOST/ },
  { name: 'IPv6 without brackets', text: 'http://u:hidden@fd00::1:1', mend: /HOST/ },
  { name: 'a zone', text: 'http://u:hidden@[fe80::1%25lo]:1', mend: /HOST/ },
  { name: 'octal numbers', text: 'http://u:hidden@127.0.0.010:1', mend: /HOST/ },
  { name: 'one number', text: 'http://u:hidden@2130706433:1', mend: /HOST/ },
  { name: 'an escaped host', text: 'http://u:hidden@%70:1', mend: /HOST/ },
]) {
  t.test(`proxy-url refuses ${row.name}, and shows no password`, async (t) => {
    const fault = parseProxyUrl(row.text, 'refused');
    if (fault instanceof ProxyUrl) throw new Error('accepted');
    t.match(fault.mend, row.mend);
    t.notMatch(JSON.stringify(fault), /hid/);
  });
}

t.test(
  'a variable of the environment: a raw % stands for itself, and http is the scheme where there is none',
  async (t) => {
    for (const [text, access] of [
      ['user:100%@p:3128', 'user:100%'],
      ['http://user:100%@p:3128', 'user:100%'],
      ['http://user:%zz%41@p:3128', 'user:%zzA'],
      ['http://user:%ff@p:3128', 'user:%ff'],
    ] as const) {
      const proxy = parseProxyUrl(text, 'taken');
      if (!(proxy instanceof ProxyUrl)) throw new Error(proxy.problem);
      t.same([proxy.origin, proxy.authorization?.reveal()], ['http://p:3128', basic(access)]);
    }
  },
);

t.test('a proxy with a password cannot print itself', async (t) => {
  const proxy = proxyOf('http://user:hidden@p:1');
  t.equal(proxy.address, 'p:1');
  for (const text of [
    String(proxy),
    JSON.stringify({ proxy }),
    inspect({ proxy }, { showHidden: true }),
    String(proxy.authorization),
  ])
    t.notMatch(text, /hidden|user/);
});
