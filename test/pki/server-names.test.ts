import t from 'tap';
import { serverNameProblem, withoutFinalDots } from '../../src/pki/server-names.ts';

// Expectations are those of Go's crypto/x509, which client-go verifies with.
for (const [name, host, names, problem] of [
  ['the name', 'api.example', 'DNS:other, DNS:api.example', undefined],
  ['letters of another case', 'API.example', 'DNS:api.EXAMPLE', undefined],
  ['a dot at the end of the host', 'api.example.', 'DNS:api.example', undefined],
  ['a dot at the end of both', 'api.example.', 'DNS:api.example.', undefined],
  ['a dot at the end of the certificate only', 'api.example', 'DNS:api.example.', 'other-names'],
  ['a star', 'api.example', 'DNS:*.example', undefined],
  ['a star and a dot at the end of the host', 'api.example.', 'DNS:*.example', undefined],
  ['a star for two labels', 'a.api.example', 'DNS:*.example', 'other-names'],
  ['a star for no label', 'example', 'DNS:*.example', 'other-names'],
  ['a star for a part of a label', 'api.example', 'DNS:a*.example', 'other-names'],
  ['a star within', 'api.x.example', 'DNS:api.*.example', 'other-names'],
  ['a star alone', 'example', 'DNS:*', 'other-names'],
  ['an address', '10.0.0.1', 'IP Address:10.0.0.1', undefined],
  ['an address given as a name', '10.0.0.1', 'DNS:10.0.0.1', 'other-names'],
  ['an address below a star', '10.0.0.1', 'DNS:*.0.0.1', 'other-names'],
  ['an IPv6 address in another spelling, in brackets', '[fd00:0::1]', 'IP Address:FD00:0:0:0:0:0:0:1', undefined],
  ['an IPv4 address in IPv6 dress', '::ffff:10.0.0.1', 'IP Address:10.0.0.1', undefined],
  ['no names', 'api.example', undefined, 'no-names'],
  ['names of other kinds only', 'api.example', 'URI:spiffe://api.example, email:a@api.example', 'no-names'],
  ['a name quoted in another kind', 'api.example', 'URI:"x, DNS:api.example"', 'no-names'],
  ['nothing as host', '', 'DNS:', 'other-names'],
  ['a dot as host', '.', 'DNS:.', 'other-names'],
] as const) {
  t.test(`server name: ${name}`, async (t) => t.equal(serverNameProblem(host, names), problem));
}

t.test('dots at the end go, others stay', async (t) => {
  t.same(['a.b', 'a.b.', 'a.b..', '.a', ''].map(withoutFinalDots), ['a.b', 'a.b', 'a.b', '.a', '']);
});
