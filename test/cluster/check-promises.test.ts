/** What `certlet check` promises: it changes nothing, asks for nothing but reads and reviews, and the commands that it prints mend. */
import t from 'tap';
import type { Test } from 'tap';
import { snapshot } from '../fixtures/check/host.ts';
import type { ControlPlane } from './fixtures/control-plane.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { eventually } from '../fixtures/eventually.ts';
import type { TestHost } from './fixtures/host.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

interface Found {
  readonly id: string;
  readonly verdict: string;
  readonly what: string;
  readonly remedy?: string;
  readonly causes?: readonly { readonly what: string; readonly remedy?: string }[];
}

interface Checked {
  readonly code: number | null;
  readonly text: string;
  readonly problems: readonly string[];
  readonly find: (id: string) => Found | undefined;
}

/** Runs it on this host, where no daemon is at work, and proves by the way that the disk is as before. */
async function check(t: Test, host: TestHost): Promise<Checked> {
  const before = diskOf(host);
  const certlet = host.start(['check', '--output', 'json']);
  const { code } = await certlet.exited;
  await eventually('the whole report', () => (certlet.output.endsWith('}') ? true : undefined));
  t.equal(diskOf(host), before, 'the disk is as before');
  const { findings } = JSON.parse(certlet.output) as { readonly findings: readonly Found[] };
  return {
    code,
    text: certlet.output,
    problems: findings.filter(({ verdict }) => verdict === 'problem').map(({ id }) => id),
    find: (id) => findings.find((each) => each.id === id),
  };
}

/** Without the log that the test itself writes beside it. */
const diskOf = (host: TestHost): string =>
  snapshot(host.folder)
    .split('\n')
    .filter((row) => !row.startsWith(`${host.logPath} `) && !row.startsWith(`${host.folder} `))
    .join('\n');

/** Runs a command that check printed, as the admin of the cluster. */
async function follow(plane: ControlPlane, remedy: string | undefined): Promise<void> {
  const [program, ...words] = (remedy ?? '').split(' ');
  if (program !== 'kubectl') throw new Error(`no command for kubectl: ${String(remedy)}`);
  await plane.kubectl(words);
}

await withControlPlane(t, { clusterInfo: true, rbac: [] }, (plane) => {
  t.test('a deleted token is told apart by the missing signature', async (t) => {
    const host = hostFor(t, plane, 'token-gone');
    await plane.createBootstrapToken({ id: 'checkb', secret: 'fedcba9876543210' });
    host.bootstrapWith('gonexx.fedcba9876543210');
    await eventually('a signature', async () => {
      const { json } = await plane.admin.call('/api/v1/namespaces/kube-public/configmaps/cluster-info');
      return json?.data?.['jws-kubeconfig-checkb'] === undefined ? undefined : true;
    });
    const gone = await check(t, host);
    t.strictSame(gone.problems, ['authentication.bootstrap-refused'], gone.text);
    const found = gone.find('authentication.bootstrap-refused');
    t.match(found?.what, /signed for other tokens, not for this one/);
    t.match(found?.causes?.[0]?.what, /expired, was deleted, or never was/);

    host.bootstrapWith('checkb.0000000000000000');
    const mistyped = await check(t, host);
    t.match(mistyped.find('authentication.bootstrap-refused')?.causes?.[0]?.what, /second half is not the one/);
    t.notMatch(mistyped.text, /checkb\.0{16}/, 'never its secret');
  });

  for (const { name, credential } of [
    {
      name: 'a bootstrap token',
      credential: () => plane.createBootstrapToken({ id: 'checkc', secret: 'fedcba9876543210' }),
    },
    { name: 'a static token', credential: async () => staticUsers.stranger.token },
  ]) {
    t.test(`the commands that are printed for ${name} mend what they are printed for`, async (t) => {
      const host = hostFor(t, plane, name.replaceAll(' ', '-'));
      const token = await credential();
      host.bootstrapWith(token);
      const bare = await check(t, host);
      t.equal(bare.code, 1);
      t.strictSame(bare.problems, ['authorization.bootstrap-forbidden'], bare.text);
      await follow(plane, bare.find('authorization.bootstrap-forbidden')?.remedy);
      await eventually('the binding to take effect', async () =>
        (await plane.admin.call(plane.csrPath, { token })).status === 200 ? true : undefined,
      );
      const bound = await check(t, host);
      t.equal(bound.code, 0, bound.text);
      t.equal(bound.find('authorization.bootstrap')?.verdict, 'ok');
      const manual = bound.find('approval.bootstrap-manual');
      t.equal(manual?.verdict, 'warning', 'approval is another role');
      await follow(plane, manual?.remedy);
      const done = await eventually('the approval to be automatic', async () => {
        const checked = await check(t, host);
        return checked.find('approval.bootstrap') === undefined ? undefined : checked;
      });
      t.equal(done.find('approval.bootstrap')?.verdict, 'ok');
      await plane.kubectl(['delete', 'clusterrolebinding', 'certlet-bootstrap', 'certlet-approve-first']);
    });
  }

  t.test('nothing but reads and reviews was asked for', async (t) => {
    const asked = plane.requests().filter(({ userAgent }) => userAgent.startsWith('certlet/'));
    t.ok(asked.length > 20, `${String(asked.length)} requests`);
    const kinds = new Set(asked.map(({ verb, resource }) => (verb === 'create' ? `create ${String(resource)}` : verb)));
    t.strictSame([...kinds].sort(), ['create selfsubjectaccessreviews', 'get', 'list']);
    t.strictSame(await plane.csrs(), []);
  });
});
