import t from 'tap';
import { CertletError } from '../../../src/errors.ts';
import { chooseProxy, usesProxy } from '../../../src/adapters/api/proxy-choice.ts';
import { proxyOf } from '../../fixtures/proxy-url.ts';

// Expectations are those of golang.org/x/net/http/httpproxy, which client-go uses.
for (const row of [
  { name: 'nothing excepted', host: 'api.example', port: '6443', noProxy: '', uses: true },
  { name: 'localhost', host: 'localhost', port: '6443', noProxy: '', uses: false },
  { name: 'localhost in capitals', host: 'LOCALHOST', port: '6443', noProxy: '', uses: false },
  { name: 'a loopback address', host: '127.8.9.1', port: '6443', noProxy: '', uses: false },
  { name: 'the IPv6 loopback address', host: '::1', port: '6443', noProxy: '', uses: false },
  { name: 'a name below localhost', host: 'a.localhost', port: '6443', noProxy: '', uses: true },
  { name: 'a star', host: 'api.example', port: '6443', noProxy: 'other, *', uses: false },
  { name: 'the name itself', host: 'api.example', port: '6443', noProxy: 'api.example', uses: false },
  {
    name: 'the name in capitals with blanks',
    host: 'api.example',
    port: '6443',
    noProxy: ' a , API.Example ',
    uses: false,
  },
  { name: 'a parent domain', host: 'api.example', port: '6443', noProxy: 'example', uses: false },
  { name: 'a domain that only ends alike', host: 'myexample', port: '6443', noProxy: 'example', uses: true },
  { name: 'a leading dot above the name', host: 'api.example', port: '6443', noProxy: '.example', uses: false },
  {
    name: 'a leading dot does not match the domain itself',
    host: 'example',
    port: '6443',
    noProxy: '.example',
    uses: true,
  },
  { name: 'a star and a dot', host: 'api.example', port: '6443', noProxy: '*.example', uses: false },
  {
    name: 'a star and a dot do not match the domain itself',
    host: 'example',
    port: '6443',
    noProxy: '*.example',
    uses: true,
  },
  { name: 'the name with the port', host: 'api.example', port: '6443', noProxy: 'api.example:6443', uses: false },
  { name: 'the name with another port', host: 'api.example', port: '6443', noProxy: 'api.example:443', uses: true },
  { name: 'a port without name', host: 'api.example', port: '6443', noProxy: ':6443', uses: true },
  { name: 'an address', host: '10.1.2.3', port: '6443', noProxy: '10.1.2.3', uses: false },
  { name: 'an address with port', host: '10.1.2.3', port: '6443', noProxy: '10.1.2.3:6443', uses: false },
  { name: 'an address with another port', host: '10.1.2.3', port: '6443', noProxy: '10.1.2.3:1', uses: true },
  { name: 'another address', host: '10.1.2.3', port: '6443', noProxy: '10.1.2.4', uses: true },
  { name: 'a network', host: '10.1.2.3', port: '6443', noProxy: '10.0.0.0/8', uses: false },
  { name: 'a network with host bits', host: '10.1.2.3', port: '6443', noProxy: '10.9.9.9/8', uses: false },
  { name: 'another network', host: '11.1.2.3', port: '6443', noProxy: '10.0.0.0/8', uses: true },
  { name: 'a network does not match names', host: 'api.example', port: '6443', noProxy: '0.0.0.0/0', uses: true },
  { name: 'an impossible network', host: '10.1.2.3', port: '6443', noProxy: '10.0.0.0/33', uses: true },
  { name: 'an IPv6 address in another spelling', host: 'fd00::1', port: '6443', noProxy: 'fd00:0:0::1', uses: false },
  {
    name: 'an IPv6 address in brackets with port',
    host: 'fd00::1',
    port: '6443',
    noProxy: '[fd00::1]:6443',
    uses: false,
  },
  { name: 'an IPv6 address in brackets', host: 'fd00::1', port: '6443', noProxy: '[fd00::1]', uses: false },
  { name: 'an IPv6 network', host: 'fd12::1', port: '6443', noProxy: 'fd00::/8', uses: false },
  { name: 'an IPv4 address in IPv6 dress', host: '10.1.2.3', port: '6443', noProxy: '::ffff:10.1.2.3', uses: false },
  { name: 'the host in IPv6 dress', host: '::ffff:a01:203', port: '6443', noProxy: '10.1.2.3', uses: false },
  {
    name: 'the host in IPv6 dress and a network',
    host: '::ffff:a01:203',
    port: '6443',
    noProxy: '10.0.0.0/8',
    uses: false,
  },
  { name: 'loopback in IPv6 dress', host: '::ffff:7f00:1', port: '6443', noProxy: '', uses: false },
  { name: 'an impossible IPv6 network', host: 'fd12::1', port: '6443', noProxy: 'fd00::/129', uses: true },
]) {
  t.test(`NO_PROXY: ${row.name}`, async (t) => {
    t.equal(usesProxy(row.host, row.port, row.noProxy), row.uses);
  });
}

const https = new URL('https://api.example:6443');
for (const row of [
  { name: 'no variables, no proxy', env: {}, proxy: undefined },
  { name: 'HTTPS_PROXY for an https server', env: { HTTPS_PROXY: 'http://p:1' }, proxy: 'http://p:1' },
  { name: 'https_proxy too', env: { https_proxy: 'http://p:1' }, proxy: 'http://p:1' },
  { name: 'upper case wins', env: { HTTPS_PROXY: 'http://p:1', https_proxy: 'http://q:1' }, proxy: 'http://p:1' },
  { name: 'an empty one does not count', env: { HTTPS_PROXY: '', https_proxy: 'http://q:1' }, proxy: 'http://q:1' },
  { name: 'HTTP_PROXY is not for https', env: { HTTP_PROXY: 'http://p:1' }, proxy: undefined },
  { name: 'without scheme it is http', env: { HTTPS_PROXY: 'p:3128' }, proxy: 'http://p:3128' },
  { name: 'a raw % in the password', env: { HTTPS_PROXY: 'user:100%@p:1' }, proxy: 'http://user:100%@p:1' },
  { name: 'a path, which Go does not look at', env: { HTTPS_PROXY: 'http://p:1/x' }, proxy: 'http://p:1/x' },
  { name: 'an https proxy', env: { HTTPS_PROXY: 'https://p' }, proxy: 'https://p' },
  { name: 'NO_PROXY excepts', env: { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'example' }, proxy: undefined },
  { name: 'no_proxy excepts', env: { HTTPS_PROXY: 'http://p:1', no_proxy: '.example' }, proxy: undefined },
]) {
  t.test(`chooseProxy: ${row.name}`, async (t) => {
    t.equal(chooseProxy(https, undefined, row.env)?.reveal(), row.proxy);
  });
}

t.test('chooseProxy: default ports count for NO_PROXY entries with a port', async (t) => {
  const env = { HTTPS_PROXY: 'http://p', HTTP_PROXY: 'http://q', NO_PROXY: 'a:443,b:80' };
  t.equal(chooseProxy(new URL('https://a'), undefined, env), undefined);
  t.equal(chooseProxy(new URL('https://b'), undefined, env)?.reveal(), 'http://p');
  t.equal(chooseProxy(new URL('http://b'), undefined, env), undefined);
  t.equal(chooseProxy(new URL('http://a'), undefined, env)?.reveal(), 'http://q');
});

t.test("chooseProxy: the kubeconfig's proxy-url wins over everything, for loopback servers too", async (t) => {
  const own = proxyOf('http://own:1');
  t.equal(chooseProxy(new URL('https://127.0.0.1:6443'), own, { HTTPS_PROXY: 'http://p', NO_PROXY: '*' }), own);
});

for (const value of [
  'socks5://u:hidden@p',
  'http://',
  'http://u:hidden@',
  'http://u:hid/hidden@p:1',
  'http://u:hidden@p:0',
  'http://u:hidden@p:x',
  'http://u:hidden@127.0.0.010',
]) {
  t.test(`chooseProxy refuses ${value.replace('hidden', '…')} without showing it`, async (t) => {
    const error = t.throws(() => chooseProxy(https, undefined, { HTTPS_PROXY: value }), CertletError) as CertletError;
    t.equal(error.code, 'ERR_API_UNREACHABLE');
    t.notMatch(`${error.message}${String(error.remedy)}`, /hidden/);
    t.match(error.remedy, /HTTPS_PROXY/);
  });
}
