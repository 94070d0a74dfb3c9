import t from 'tap';
import { CertletError } from '../../src/errors.ts';
import { clientConfig } from '../../src/kubeconfig/client-config.ts';
import { parseKubeconfig } from '../../src/kubeconfig/codec.ts';

const FILE = '/etc/kubernetes/bootstrap-kubelet.conf';

/** A kubeconfig with the given cluster and user maps, one field a line so that places are easy to name. */
function kubeconfig(cluster: readonly string[], user: readonly string[] = ['token: abcdef.0123456789abcdef']): string {
  return `apiVersion: v1
kind: Config
current-context: here
contexts:
- name: here
  context:
    cluster: c
    user: u
clusters:
- name: c
  cluster:
${cluster.map((line) => `    ${line}\n`).join('')}users:
- name: u
  user:
${user.map((line) => `    ${line}\n`).join('')}`;
}

const SERVER = ['server: https://api:6443'];
/** Line of the first cluster field and of the first user field when the cluster has one. */
const CLUSTER_LINE = 12;
const USER_LINE = 16;

interface BadRow {
  readonly name: string;
  readonly text: string;
  readonly place: string;
  readonly field: string;
  readonly words: RegExp;
  readonly remedy?: RegExp;
}

const cluster = (
  name: string,
  lines: readonly string[],
  expected: Omit<BadRow, 'name' | 'text' | 'place'> & { line?: number; column?: number },
): BadRow => ({
  ...expected,
  name,
  text: kubeconfig(lines),
  place: `${String(expected.line ?? CLUSTER_LINE)}:${String(expected.column ?? 13)}`,
});
const user = (
  name: string,
  lines: readonly string[],
  expected: Omit<BadRow, 'name' | 'text' | 'place'> & { line?: number; column: number },
): BadRow => ({
  ...expected,
  name,
  text: kubeconfig(SERVER, lines),
  place: `${String(expected.line ?? USER_LINE)}:${String(expected.column)}`,
});
const exec = (
  name: string,
  lines: readonly string[],
  expected: { field: string; words: RegExp; remedy?: RegExp; line: number; column: number },
): BadRow =>
  user(name, ['exec:', ...lines.map((line) => `  ${line}`)], { ...expected, line: USER_LINE + expected.line });

const EXEC = ['apiVersion: client.authentication.k8s.io/v1', 'command: plugin', 'interactiveMode: Never'];

const BAD: readonly BadRow[] = [
  { name: 'an empty file', text: '', place: '', field: '', words: /the file is empty/ },
  {
    name: 'an empty first document',
    text: `---\n---\n${kubeconfig(SERVER)}`,
    place: '1:4',
    field: '',
    words: /first of its YAML documents is empty/,
  },
  { name: 'text that is no map', text: 'hello', place: '1:1', field: '', words: /expected a kubeconfig, got text/ },
  { name: 'another kind', text: 'kind: Pod', place: '1:7', field: 'kind', words: /is not Config/ },
  { name: 'another apiVersion', text: 'apiVersion: v2', place: '1:13', field: 'apiVersion', words: /is not v1/ },
  {
    name: 'no current-context',
    text: 'kind: Config',
    place: '1:1',
    field: 'current-context',
    words: /missing/,
    remedy: /use-context/,
  },
  {
    name: 'a current-context that is a number',
    text: 'current-context: 7',
    place: '1:18',
    field: 'current-context',
    words: /expected text, got a number/,
    remedy: /in quotes/,
  },
  {
    name: 'a context that is not there',
    text: 'current-context: x',
    place: '1:18',
    field: 'current-context',
    words: /"x", which is not in contexts/,
    remedy: /use-context/,
  },
  {
    name: 'contexts that are no list',
    text: 'current-context: x\ncontexts: {}',
    place: '2:11',
    field: 'contexts',
    words: /expected a list, got a map/,
  },
  {
    name: 'a context without cluster',
    text: 'current-context: x\ncontexts:\n- name: x\n  context: {user: u}',
    place: '4:12',
    field: 'contexts[0].context.cluster',
    words: /missing/,
  },
  {
    name: 'a cluster that is not there',
    text: 'current-context: x\ncontexts:\n- name: x\n  context: {cluster: gone}',
    place: '4:22',
    field: 'contexts[0].context.cluster',
    words: /"gone", which is not in clusters/,
  },
  {
    name: 'a name that stands twice',
    text: 'current-context: x\ncontexts:\n- name: x\n- name: x',
    place: '4:9',
    field: 'contexts[1].name',
    words: /stands twice/,
  },
  {
    name: 'a user that is not there',
    text: kubeconfig(SERVER).replace('user: u\n', 'user: gone\n'),
    place: '8:11',
    field: 'contexts[0].context.user',
    words: /"gone", which is not in users/,
  },
  cluster('no server', ['extensions: []'], { column: 5, field: 'clusters[0].cluster.server', words: /missing/ }),
  cluster('a server that is a list', ['server: [a]'], {
    field: 'clusters[0].cluster.server',
    words: /expected text, got a list/,
  }),
  cluster('a server with a blank', ['server: "https://a b"'], { field: 'clusters[0].cluster.server', words: /blank/ }),
  cluster('a bare IPv6 server', ['server: https://fd00::1:6443'], {
    field: 'clusters[0].cluster.server',
    words: /is no URL/,
    remedy: /brackets/,
  }),
  ...(
    [
      [
        'whose zero-padded numbers are another address',
        'https://192.168.010.001:6443',
        /some programs/,
        /If 192\.168\.10\.1 is meant/,
      ],
      ['of three numbers', 'https://127.0.1:6443', /some programs/, /four decimal numbers/],
      ['of one number', 'https://2130706433', /some programs/, /four decimal numbers/],
      ['of hexadecimal numbers', 'https://0x7f.1', /some programs/, /four decimal numbers/],
      ['with a number above 255', 'https://1.2.3.256', /some programs/, /four decimal numbers/],
      ['with a zone', 'https://[fe80::1%25eth0]:6443', /zone/, /link-local/],
      ['with a mistyped scheme: one slash', 'https:/api:6443', /mistyped/, /https:\/\/HOST:PORT/],
      ['with a mistyped scheme: no colon', 'https//api:6443', /mistyped/, /https:\/\/HOST:PORT/],
      ['with a mistyped scheme: a semicolon', 'https;//api:6443', /mistyped/, /https:\/\/HOST:PORT/],
      ['with a mistyped scheme: backslashes', 'https:\\\\api:6443', /mistyped/, /https:\/\/HOST:PORT/],
      ['with two schemes', 'https://https://api:6443', /is no URL/, /https:\/\/HOST:PORT/],
      ['with a path and no scheme', 'api:6443/k8s', /more than a host and a port/, /https:\/\/HOST:PORT/],
      ['with an escaped host', 'https://%61pi:6443', /characters/, /https:\/\/HOST:PORT/],
      ['with a port too large', 'https://api:65536', /port 65536/, /65535/],
    ] as const
  ).map(([name, url, words, remedy]) =>
    cluster(`a server ${name}`, [`server: '${url}'`, 'certificate-authority: ca.crt'], {
      field: 'clusters[0].cluster.server',
      words,
      remedy,
    }),
  ),
  cluster('a server with another scheme', ['server: ftp://a'], {
    field: 'clusters[0].cluster.server',
    words: /scheme ftp/,
  }),
  cluster('a server with a password', ['server: https://u:hidden@a'], {
    field: 'clusters[0].cluster.server',
    words: /a user, a query/,
  }),
  cluster('plain http to another host', ['server: http://api:8080'], {
    field: 'clusters[0].cluster.server',
    words: /plain http/,
    remedy: /https:\/\/api:8080/,
  }),
  cluster('a bare host without anything of TLS', ['server: api:6443'], {
    field: 'clusters[0].cluster.server',
    words: /plain http/,
    remedy: /https:\/\/api:6443/,
  }),
  cluster(
    'the insecure flag together with a CA',
    [...SERVER, 'insecure-skip-tls-verify: true', 'certificate-authority: ca.crt'],
    { line: 13, column: 31, field: 'clusters[0].cluster.insecure-skip-tls-verify', words: /refuses the two together/ },
  ),
  cluster('an insecure flag that is text', [...SERVER, 'insecure-skip-tls-verify: "true"'], {
    line: 13,
    column: 31,
    field: 'clusters[0].cluster.insecure-skip-tls-verify',
    words: /expected true or false, got text/,
  }),
  cluster('CA data that is PEM', [...SERVER, 'certificate-authority-data: "-----BEGIN CERTIFICATE-----"'], {
    line: 13,
    column: 33,
    field: 'clusters[0].cluster.certificate-authority-data',
    words: /PEM text instead of base64/,
    remedy: /base64 -w0/,
  }),
  cluster('CA data that is no base64', [...SERVER, 'certificate-authority-data: "a*b"'], {
    line: 13,
    column: 33,
    field: 'clusters[0].cluster.certificate-authority-data',
    words: /is no base64/,
  }),
  cluster('a server name with a port', [...SERVER, 'tls-server-name: api:6443'], {
    line: 13,
    column: 22,
    field: 'clusters[0].cluster.tls-server-name',
    words: /no host name/,
  }),
  cluster('a SOCKS proxy', [...SERVER, 'proxy-url: socks5://p'], {
    line: 13,
    column: 16,
    field: 'clusters[0].cluster.proxy-url',
    words: /SOCKS/,
    remedy: /CONNECT/,
  }),
  cluster('a proxy that is no URL', [...SERVER, 'proxy-url: p'], {
    line: 13,
    column: 16,
    field: 'clusters[0].cluster.proxy-url',
    words: /no URL/,
  }),
  cluster('a proxy with another scheme', [...SERVER, 'proxy-url: ftp://u:hidden@p'], {
    line: 13,
    column: 16,
    field: 'clusters[0].cluster.proxy-url',
    words: /no http or https URL/,
  }),
  user('a user that is text', ['abc'], { column: 5, field: 'users[0].user', words: /expected a map, got text/ }),
  user('a token that is a number', ['token: 123456'], {
    column: 12,
    field: 'users[0].user.token',
    words: /got a number/,
    remedy: /in quotes/,
  }),
  user('a token that is a boolean', ['token: true'], {
    column: 12,
    field: 'users[0].user.token',
    words: /got true or false/,
    remedy: /in quotes/,
  }),
  user('a token with a line break', ['token: "hidden\\n"'], {
    column: 12,
    field: 'users[0].user.token',
    words: /a line break/,
  }),
  ...['${BOOTSTRAP_TOKEN}', '$TOKEN', '<token>', '__TOKEN__', '[[ token ]]', '{{ .BootstrapToken }}'].map((place) =>
    user(
      `a place for a token, ${place}, was sent to the server, which answers as to an expired one`,
      [`token: '${place}'`],
      {
        column: 12,
        field: 'users[0].user.token',
        words: /not filled in/,
      },
    ),
  ),
  user('user name and password', ['username: a', 'password: hidden'], {
    column: 15,
    field: 'users[0].user.username',
    words: /removed in Kubernetes 1.19/,
    remedy: /kubeadm token create/,
  }),
  user('an auth provider', ['auth-provider: {name: gcp}'], {
    column: 20,
    field: 'users[0].user.auth-provider',
    words: /removed in Kubernetes 1.26/,
    remedy: /exec/,
  }),
  user('impersonation', ['token: t', 'as: root'], {
    line: 17,
    column: 9,
    field: 'users[0].user.as',
    words: /impersonation/,
    remedy: /Delete/,
  }),
  user('impersonated groups', ['as-groups: [a]'], {
    column: 16,
    field: 'users[0].user.as-groups',
    words: /impersonation/,
  }),
  user('a certificate without key', ['client-certificate: a.crt'], {
    column: 5,
    field: 'users[0].user.client-key',
    words: /without its key/,
  }),
  exec('an exec plugin without version', ['command: p'], {
    line: 1,
    column: 7,
    field: 'users[0].user.exec.apiVersion',
    words: /missing/,
  }),
  exec('an exec plugin of v1alpha1', ['apiVersion: client.authentication.k8s.io/v1alpha1', 'command: p'], {
    line: 1,
    column: 19,
    field: 'users[0].user.exec.apiVersion',
    words: /removed in Kubernetes 1.24/,
  }),
  exec('an exec plugin of an unknown version', ['apiVersion: v9', 'command: p'], {
    line: 1,
    column: 19,
    field: 'users[0].user.exec.apiVersion',
    words: /no version/,
  }),
  exec('an exec plugin without command', ['apiVersion: client.authentication.k8s.io/v1'], {
    line: 1,
    column: 7,
    field: 'users[0].user.exec.command',
    words: /missing/,
  }),
  exec('a v1 plugin without interactiveMode', EXEC.slice(0, 2), {
    line: 1,
    column: 7,
    field: 'users[0].user.exec.interactiveMode',
    words: /missing/,
    remedy: /Never/,
  }),
  exec('a plugin that needs a terminal', [...EXEC.slice(0, 2), 'interactiveMode: Always'], {
    line: 3,
    column: 24,
    field: 'users[0].user.exec.interactiveMode',
    words: /needs a terminal/,
  }),
  exec('an unknown interactiveMode', [...EXEC.slice(0, 2), 'interactiveMode: Maybe'], {
    line: 3,
    column: 24,
    field: 'users[0].user.exec.interactiveMode',
    words: /is none of/,
  }),
  exec('args that are no list', [...EXEC, 'args: -v'], {
    line: 4,
    column: 13,
    field: 'users[0].user.exec.args',
    words: /expected a list/,
  }),
  exec('an argument that is a number', [...EXEC, 'args: [1]'], {
    line: 4,
    column: 14,
    field: 'users[0].user.exec.args[0]',
    words: /expected text/,
  }),
  exec('a variable without name', [...EXEC, 'env: [{value: a}]'], {
    line: 4,
    column: 13,
    field: 'users[0].user.exec.env[0].name',
    words: /missing/,
  }),
];

for (const row of BAD) {
  t.test(`parseKubeconfig refuses ${row.name}`, async (t) => {
    const error = t.throws(() => parseKubeconfig(row.text, FILE), CertletError) as CertletError;
    t.equal(error.code, 'ERR_KUBECONFIG_INVALID');
    const prefix = [
      row.place === '' ? FILE : `${FILE}:${row.place}`,
      ...(row.field === '' ? [''] : [row.field, '']),
    ].join(': ');
    t.equal(error.message.slice(0, prefix.length), prefix, error.message);
    t.notMatch(error.message, /: : /, 'no place for a field where there is none');
    t.match(error.message, row.words);
    t.notMatch(`${error.message} ${error.remedy ?? ''}`, /hidden/, 'nothing secret is quoted');
    t.match(error.remedy, row.remedy ?? /\w+/);
  });
}

for (const row of [
  { name: 'as it stands', server: 'https://api:6443', url: 'https://api:6443' },
  { name: 'without trailing slash', server: 'https://api:6443/', url: 'https://api:6443' },
  { name: 'with a path', server: 'https://rancher/k8s/clusters/c-1/', url: 'https://rancher/k8s/clusters/c-1' },
  { name: 'of IPv6', server: 'https://[fd00::1]:6443', url: 'https://[fd00::1]:6443' },
]) {
  t.test(`the server is taken ${row.name}`, async (t) => {
    t.equal(parseKubeconfig(kubeconfig([`server: ${row.server}`]), FILE).cluster.server, row.url);
  });
}

t.test('a server without scheme is https where the entry has a CA, as in client-go', async (t) => {
  t.equal(
    parseKubeconfig(kubeconfig(['server: api:6443', 'certificate-authority: ca.crt']), FILE).cluster.server,
    'https://api:6443',
  );
});

for (const host of ['localhost:8080', '127.0.0.1:8080', '[::1]:8080', 'api.localhost']) {
  t.test(`plain http to ${host} is allowed with a warning`, async (t) => {
    const { cluster } = parseKubeconfig(kubeconfig([`server: "http://${host}"`]), FILE);
    t.equal(cluster.server, `http://${host}`);
    t.match(cluster.warnings, [/plain http/]);
  });
}

t.test('a name with a line break in it formed a line of its own', async (t) => {
  const evil = '\u001b[31mn\ncertlet: all is well';
  const base = { 'current-context': evil, contexts: [], clusters: [], users: [] };
  const entry = (of: object): object => ({ ...base, contexts: [{ name: evil, context: of }] });
  for (const tree of [
    base,
    entry({ cluster: evil, user: 'u' }),
    { ...entry({ cluster: 'c', user: evil }), clusters: [{ name: 'c', cluster: { server: 'https://192.0.2.1' } }] },
    { ...base, contexts: [1, 2].map(() => ({ name: evil, context: { cluster: 'c', user: 'u' } })) },
  ])
    t.throws(() => parseKubeconfig(JSON.stringify(tree), FILE), {
      message: new RegExp(String.raw`^\P{Cc}*\\u001b\[31mn\\ncertlet\P{Cc}*$`, 'u'),
    });
});

t.test('the current context decides, other entries may be unusable, unknown fields are ignored', async (t) => {
  const text = `${kubeconfig(SERVER)}- name: other\n  user: {auth-provider: {name: x}}\npreferences: {colors: true}\nunknown: 7\n`;
  const { context, cluster, user } = parseKubeconfig(text, FILE);
  t.equal(context, 'here');
  t.equal(cluster.server, 'https://api:6443');
  t.equal(user.kind, 'token');
});

t.test('a context without user has no credential', async (t) => {
  t.equal(parseKubeconfig(kubeconfig(SERVER).replace('    user: u\n', ''), FILE).user.kind, 'none');
  t.equal(parseKubeconfig(kubeconfig(SERVER, ['token: ""']), FILE).user.kind, 'none', 'an empty token is none');
});

t.test('insecure-skip-tls-verify is honoured with a warning that says where', async (t) => {
  const { cluster } = parseKubeconfig(kubeconfig([...SERVER, 'insecure-skip-tls-verify: true']), FILE);
  t.equal(cluster.insecureSkipTlsVerify, true);
  t.match(cluster.warnings, [
    /bootstrap-kubelet\.conf:13:31: clusters\[0\]\.cluster\.insecure-skip-tls-verify is true/,
  ]);
});

t.test('proxy-url and tls-server-name are kept, the proxy as a secret', async (t) => {
  const { cluster } = parseKubeconfig(
    kubeconfig([...SERVER, 'proxy-url: http://u:p@proxy:3128', 'tls-server-name: kubernetes.default']),
    FILE,
  );
  t.equal(cluster.proxyUrl?.reveal(), 'http://u:p@proxy:3128');
  t.equal(String(cluster.proxyUrl), '[secret]');
  t.equal(cluster.tlsServerName, 'kubernetes.default');
  for (const name of ['10.0.0.1', 'fd00::1', 'a-b.c.', '*.example']) {
    t.equal(parseKubeconfig(kubeconfig([...SERVER, `tls-server-name: "${name}"`]), FILE).cluster.tlsServerName, name);
  }
});

t.test('data wins over path with a warning, and relative paths count from the folder of the file', async (t) => {
  const data = Buffer.from('PEM').toString('base64');
  const { cluster } = parseKubeconfig(
    kubeconfig([...SERVER, `certificate-authority-data: ${data}`, 'certificate-authority: /ca.crt']),
    FILE,
  );
  t.equal(cluster.ca?.kind, 'data');
  t.match(cluster.warnings, [/certificate-authority is not read/]);
  const relative = parseKubeconfig(
    kubeconfig([...SERVER, 'certificate-authority: pki/ca.crt'], ['tokenFile: ../token']),
    FILE,
  );
  t.match(relative.cluster.ca, { kind: 'file', path: '/etc/kubernetes/pki/ca.crt' });
  t.match(relative.user, { kind: 'tokenFile', file: { path: '/etc/token' } });
});

t.test('of several credentials the certificate is taken, then the token, then the plugin', async (t) => {
  const pair = ['client-certificate: a.pem', 'client-key: a.pem'];
  const plugin = ['exec:', ...EXEC.map((line) => `  ${line}`)];
  const all = parseKubeconfig(kubeconfig(SERVER, ['token: t', ...pair, ...plugin]), FILE).user;
  t.equal(all.kind, 'certificate');
  t.match(all.warnings, [/several credentials: the certificate is used, the token and exec is not/]);
  t.equal(parseKubeconfig(kubeconfig(SERVER, ['token: t', ...plugin]), FILE).user.kind, 'token');
  t.same(parseKubeconfig(kubeconfig(SERVER, pair), FILE).user.warnings, []);
});

t.test('an exec plugin keeps arguments, variables, hint and the extension of the cluster', async (t) => {
  const lines = [
    'exec:',
    '  apiVersion: client.authentication.k8s.io/v1beta1',
    '  command: bin/plugin',
    '  args: [get-token, "7", ""]',
    '  env: [{name: A, value: b}, {name: E}]',
    '  installHint: apt install plugin',
    '  provideClusterInfo: true',
  ];
  const extension = ['extensions:', '- name: client.authentication.k8s.io/exec', '  extension: {audience: x}'];
  const { user } = parseKubeconfig(kubeconfig([...SERVER, ...extension], lines), FILE);
  t.match(user, {
    kind: 'exec',
    plugin: {
      apiVersion: 'client.authentication.k8s.io/v1beta1',
      command: '/etc/kubernetes/bin/plugin',
      args: ['get-token', '7', ''],
      env: [
        { name: 'A', value: 'b' },
        { name: 'E', value: '' },
      ],
      provideClusterInfo: true,
      installHint: 'apt install plugin',
      clusterConfig: { audience: 'x' },
    },
  });
});

for (const row of [
  { name: 'a bare name stays, for PATH', command: 'plugin', resolved: 'plugin' },
  { name: 'an absolute path stays', command: '/opt/plugin', resolved: '/opt/plugin' },
  { name: 'a path with a folder counts from the kubeconfig', command: './plugin', resolved: '/etc/kubernetes/plugin' },
]) {
  t.test(`the command of an exec plugin: ${row.name}`, async (t) => {
    const lines = [
      'exec:',
      `  apiVersion: client.authentication.k8s.io/v1`,
      `  command: ${row.command}`,
      '  interactiveMode: IfAvailable',
    ];
    const parsed = parseKubeconfig(kubeconfig(SERVER, lines), FILE);
    t.match(parsed.user, { plugin: { command: row.resolved } });
    t.same(clientConfig(parsed, new Map()).files, row.resolved.startsWith('/') ? [row.resolved] : []);
  });
}

t.test('a kubeconfig with a trailing --- or further documents is read as kubectl reads it', async (t) => {
  const whole = kubeconfig(SERVER);
  for (const end of ['---\n', '...\n', '---\n# end\n']) {
    const { cluster, warnings } = parseKubeconfig(`${whole}${end}`, FILE);
    t.equal(cluster.server, 'https://api:6443');
    t.same(warnings, [], JSON.stringify(end));
  }
  const lines = whole.split('\n').length;
  for (const end of [`---\n${kubeconfig(['server: https://other:6443'])}`, '---\nbroken: [\n']) {
    const read = parseKubeconfig(`${whole}${end}`, FILE);
    t.equal(read.cluster.server, 'https://api:6443');
    t.same(clientConfig(read, new Map()).warnings, [
      `${FILE}:${String(lines)}:1: only the first YAML document is read, as kubectl does; what follows here is ignored`,
    ]);
  }
});

t.test('a kubeconfig that changed, or another context of it, was taken for the one before', async (t) => {
  const text = (server: string): string =>
    JSON.stringify({
      'current-context': 'a',
      clusters: ['a', 'b'].map((name) => ({ name, cluster: { server: `https://${name}${server}` } })),
      users: [{ name: 'u', user: { token: 'abcdef.0123456789abcdef' } }],
      contexts: ['a', 'b'].map((name) => ({ name, context: { cluster: name, user: 'u' } })),
    });
  const server = (...call: Parameters<typeof parseKubeconfig>): string => parseKubeconfig(...call).cluster.server;
  t.equal(server(text('.one'), '/f'), 'https://a.one');
  t.equal(server(text('.one'), '/f', 'b'), 'https://b.one');
  t.equal(server(text('.one'), '/f'), 'https://a.one');
  t.equal(server(text('.two'), '/f'), 'https://a.two');
  t.equal(server(text('.one'), '/g'), 'https://a.one');
  t.equal(parseKubeconfig(text('.one'), '/g'), parseKubeconfig(text('.one'), '/g'), 'not parsed again');
});
