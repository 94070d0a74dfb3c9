import t from 'tap';
import { apiError, readStatus, parseForbidden } from '../../../src/adapters/api/api-errors.ts';
import { identityOf } from '../../../src/adapters/api/credential-label.ts';
import type { Credential } from '../../../src/kubeconfig/client-config.ts';
import { Secret } from '../../../src/secret.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';

const pair = createAuthority({ name: 'ca', firstSerial: 31n }).issue({
  commonName: 'system:node:n1',
  organizations: ['system:nodes'],
});
const bootstrap: Credential = { kind: 'token', token: new Secret('abcdef.0123456789abcdef') };
const certificate: Credential = { kind: 'certificate', chainPem: pair.chainPem, keyPem: new Secret(pair.keyPem) };
const none: Credential = { kind: 'none' };

const status = (message: string, extra: object = {}): string =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, ...extra });
const asked = (credential: Credential) => ({
  identity: identityOf(credential),
  server: 'https://api:6443',
  what: 'POST /apis/x',
});
const refused = (code: number, body: string, retryAfterMs?: number) => ({ status: code, body, retryAfterMs });

for (const row of [
  { name: '400', code: 400, expected: 'ERR_API_REJECTED' },
  { name: '404', code: 404, expected: 'ERR_API_NOT_FOUND' },
  { name: '405', code: 405, expected: 'ERR_API_REJECTED' },
  { name: '409', code: 409, body: status('already exists', { reason: 'AlreadyExists' }), expected: 'ERR_API_CONFLICT' },
  {
    name: '409 of a lost update',
    code: 409,
    body: status('modified', { reason: 'Conflict' }),
    expected: 'ERR_API_SERVER',
  },
  { name: '409 without Status', code: 409, body: '', expected: 'ERR_API_CONFLICT' },
  { name: '410', code: 410, expected: 'ERR_API_REJECTED' },
  { name: '413', code: 413, expected: 'ERR_API_REJECTED' },
  { name: '422', code: 422, expected: 'ERR_API_REJECTED' },
  { name: '429', code: 429, expected: 'ERR_API_THROTTLED' },
  { name: '500', code: 500, expected: 'ERR_API_SERVER' },
  { name: '503', code: 503, expected: 'ERR_API_SERVER' },
  { name: 'a redirect to a login page', code: 302, body: '<html>', expected: 'ERR_API_PROTOCOL' },
]) {
  t.test(`an answer of ${row.name} is ${row.expected} and keeps the server's words`, async (t) => {
    const error = apiError(asked(bootstrap), refused(row.code, row.body ?? status('because of this')));
    t.equal(error.code, row.expected);
    t.equal(error.status, row.code);
    t.match(error.message, `POST /apis/x at https://api:6443: ${String(row.code)}`);
    if (row.body === undefined) t.match(error.message, ': because of this');
    t.notMatch(error.message, /html/);
  });
}

t.test('Retry-After of the header wins over the one of the Status, which may be missing or absurd', async (t) => {
  const body = status('slow down', { details: { retryAfterSeconds: 3 } });
  t.equal(apiError(asked(bootstrap), refused(429, body, 1000)).retryAfterMs, 1000);
  t.equal(apiError(asked(bootstrap), refused(429, body)).retryAfterMs, 3000);
  t.equal(apiError(asked(bootstrap), refused(500, '')).retryAfterMs, undefined);
  t.equal(
    apiError(asked(bootstrap), refused(500, status('x', { details: { retryAfterSeconds: -1 } }))).retryAfterMs,
    undefined,
  );
});

t.test('readStatus takes Status objects only and makes their words fit for one line', async (t) => {
  t.match(readStatus(status('a\nb\u001b[0m')), { message: 'a b [0m' });
  for (const body of ['', 'x', 'null', '[]', '{"kind":"Pod"}']) t.equal(readStatus(body), undefined);
  t.match(readStatus('{"kind":"Status","message":1,"reason":2}'), { message: '', reason: '' });
});

for (const row of [
  {
    name: 'a bootstrap token',
    credential: bootstrap,
    label: 'bootstrap token abcdef',
    remedy:
      /: kubeadm token list {3}# is abcdef there.*expired or was deleted.*secret half.*--enable-bootstrap-token-auth.*another cluster/,
  },
  {
    name: 'another token',
    credential: { kind: 'token', token: new Secret('0123456789') } as const,
    label: 'token',
    remedy: /--token-auth-file/,
  },
  {
    name: 'a token file',
    credential: { kind: 'tokenFile', path: '/run/token' } as const,
    label: 'token in /run/token',
    remedy: /^cat > \/run\/token   # paste a fresh token/,
  },
  {
    name: 'a certificate',
    credential: certificate,
    label: 'client certificate CN=system:node:n1 serial 1f',
    remedy: /expired.*--client-ca-file/,
  },
  {
    name: 'an exec plugin',
    credential: {
      kind: 'exec',
      plugin: { apiVersion: 'v1', command: '/p', args: ['hidden'], env: [], provideClusterInfo: false },
    } as const,
    label: 'exec plugin /p',
    remedy: /by hand/,
  },
  { name: 'nobody', credential: none, label: 'anonymous user', remedy: /kubeadm token create/ },
]) {
  t.test(`a 401 for ${row.name} names it and ranks the causes`, async (t) => {
    const error = apiError(asked(row.credential), refused(401, status('Unauthorized')));
    t.equal(error.code, 'ERR_API_UNAUTHORIZED');
    t.match(error.message, `401, the API server rejects the ${row.label}`);
    t.match(error.remedy, row.remedy);
    t.notMatch(`${error.message} ${String(error.remedy)}`, /0123456789|hidden|Unauthorized/);
  });
}

t.test('a 401 with words of its own keeps them', async (t) => {
  t.match(apiError(asked(bootstrap), refused(401, status('token expired'))).message, /: token expired$/);
});

t.test('a certificate that cannot be parsed still has a label', async (t) => {
  t.equal(
    identityOf({ kind: 'certificate', chainPem: 'x', keyPem: new Secret('') }).label,
    'client certificate that cannot be parsed',
  );
});

const csrs = (user: string, verb: string): string =>
  `certificatesigningrequests.certificates.k8s.io is forbidden: User "${user}" cannot ${verb} resource "certificatesigningrequests" in API group "certificates.k8s.io" at the cluster scope`;
const BOOTSTRAP_BINDING = 'kubectl create clusterrolebinding certlet-bootstrap --clusterrole=system:node-bootstrapper';

for (const row of [
  {
    name: 'a bootstrap token that may not create',
    message: csrs('system:bootstrap:abcdef', 'create'),
    remedy: `${BOOTSTRAP_BINDING} --group=system:bootstrappers`,
  },
  {
    name: 'a bootstrap token that may not watch',
    message: csrs('system:bootstrap:abcdef', 'watch'),
    remedy: `${BOOTSTRAP_BINDING} --group=system:bootstrappers`,
  },
  {
    name: 'a static token',
    message: csrs('kubelet-bootstrap', 'create'),
    remedy: `${BOOTSTRAP_BINDING} --user=kubelet-bootstrap`,
  },
  {
    name: 'a user name that a shell would understand',
    message: csrs('a$(reboot)', 'get'),
    remedy: `${BOOTSTRAP_BINDING} --user='a$(reboot)'`,
  },
  {
    name: 'a service account',
    message: csrs('system:serviceaccount:kube-system:boot', 'list'),
    remedy: `${BOOTSTRAP_BINDING} --serviceaccount=kube-system:boot`,
  },
  {
    name: 'a node',
    message: csrs('system:node:n1', 'create'),
    remedy:
      'kubectl create clusterrolebinding certlet-nodes --clusterrole=system:node-bootstrapper --group=system:nodes',
  },
  {
    name: 'the wording of 1.9',
    message:
      'certificatesigningrequests.certificates.k8s.io is forbidden: User "system:bootstrap:abcdef" cannot create certificatesigningrequests.certificates.k8s.io at the cluster scope',
    remedy: `${BOOTSTRAP_BINDING} --group=system:bootstrappers`,
  },
  {
    name: 'another verb of the resource',
    message: csrs('u', 'delete'),
    remedy:
      'kubectl create clusterrole certlet-delete-certificatesigningrequests --verb=delete --resource=certificatesigningrequests.certificates.k8s.io && kubectl create clusterrolebinding certlet-delete-certificatesigningrequests --clusterrole=certlet-delete-certificatesigningrequests --user=u',
  },
  {
    name: 'a resource of the core group',
    message: 'nodes "n1" is forbidden: User "u" cannot get resource "nodes" in API group "" at the cluster scope',
    remedy:
      'kubectl create clusterrole certlet-get-nodes --verb=get --resource=nodes && kubectl create clusterrolebinding certlet-get-nodes --clusterrole=certlet-get-nodes --user=u',
  },
  {
    name: 'a subresource',
    message:
      'x is forbidden: User "u" cannot create resource "certificatesigningrequests/nodeclient" in API group "certificates.k8s.io" at the cluster scope',
    remedy: /--resource=certificatesigningrequests\.certificates\.k8s\.io\/nodeclient/,
  },
  {
    name: 'nobody where nobody was sent',
    credential: none,
    message: csrs('system:anonymous', 'create'),
    remedy: /: kubeadm token create {3}# .*credential/,
  },
  { name: 'a path', message: 'forbidden: User "u" cannot get path "/apis"', remedy: /ClusterRole that allows/ },
  { name: 'an empty body', body: '', remedy: /ClusterRole that allows/ },
  {
    name: 'a node that asks for another',
    message:
      'certificatesigningrequests.certificates.k8s.io "x" is forbidden: can only create a node CSR with CN=system:node:n1',
    remedy: /hostnameOverride/,
  },
]) {
  t.test(`a 403 for ${row.name} prints the command that mends it`, async (t) => {
    const error = apiError(asked(row.credential ?? bootstrap), refused(403, row.body ?? status(row.message ?? '')));
    t.equal(error.code, 'ERR_API_FORBIDDEN');
    const binds = error.remedy?.startsWith('kubectl create clusterrolebinding') === true;
    t.equal(error.reason, binds ? 'no requests' : undefined);
    if (typeof row.remedy === 'string') t.equal(error.remedy, row.remedy);
    else t.match(error.remedy, row.remedy);
    if (row.message !== undefined) t.match(error.message, row.message);
  });
}

t.test('a 403 as system:anonymous although something was sent means that it got lost on the way', async (t) => {
  const byCertificate = apiError(asked(certificate), refused(403, status(csrs('system:anonymous', 'create'))));
  t.equal(byCertificate.code, 'ERR_API_ANONYMOUS');
  t.match(byCertificate.message, /although the client certificate CN=system:node:n1 serial 1f was sent/);
  t.match(byCertificate.remedy, /load balancer at api:6443 pass TCP/);
  const byToken = apiError(asked(bootstrap), refused(403, status(csrs('system:anonymous', 'create'))));
  t.equal(byToken.code, 'ERR_API_ANONYMOUS');
  t.match(byToken.remedy, /Authorization header/);
});

t.test('parseForbidden reads what is there', async (t) => {
  t.same(parseForbidden(csrs('u', 'get')), {
    user: 'u',
    verb: 'get',
    resource: 'certificatesigningrequests',
    group: 'certificates.k8s.io',
  });
  t.same(parseForbidden('User "u" cannot list nodes at the cluster scope'), {
    user: 'u',
    verb: 'list',
    resource: 'nodes',
    group: '',
  });
  t.same(parseForbidden('no'), { user: '', verb: '', resource: '', group: '' });
});
