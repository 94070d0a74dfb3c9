/** What `certlet approve --print-rbac` prints is enough, and nothing of it is too much: without each rule the one thing breaks that needs it. */
import t from 'tap';
import { ApproverHost, bindSelfNodeServer, type RoleObject } from './fixtures/approver.ts';
import { eventually } from '../fixtures/eventually.ts';
import { withControlPlane } from './fixtures/suite.ts';

/** What shows when this rule is gone. */
const BREAKS: readonly {
  readonly role: string;
  readonly rule: number;
  readonly says: RegExp;
  readonly isApproved?: true;
}[] = [
  { role: 'certlet-approver', rule: 0, says: /Cannot follow.*certificatesigningrequests/ },
  { role: 'certlet-approver', rule: 1, says: /could not be decided.*certificatesigningrequests\/approval/ },
  {
    role: 'certlet-approver',
    rule: 2,
    says: /could not be decided.*not permitted to approve requests with signerName/,
  },
  { role: 'certlet-approver', rule: 3, says: /Cannot follow.*nodes/ },
  { role: 'certlet-approver', rule: 4, says: /Not allowed to find out.*servicecidrs/, isApproved: true },
  { role: 'certlet-approver', rule: 5, says: /could not be decided.*subjectaccessreviews/ },
  { role: 'certlet-approver-lease', rule: 0, says: /Cannot begin to approve.*leases/ },
  { role: 'certlet-approver-lease', rule: 1, says: /Cannot begin to approve.*leases/ },
  { role: 'certlet-approver-kubernetes', rule: 0, says: /Not allowed to find out.*services/, isApproved: true },
  { role: 'certlet-approver-kubernetes', rule: 1, says: /Not allowed to find out.*endpoints/, isApproved: true },
  { role: 'certlet-approver-kubeadm', rule: 0, says: /Not allowed to find out.*configmaps/, isApproved: true },
  { role: 'certlet-approver-events', rule: 0, says: /Event was not recorded.*events/, isApproved: true },
];

await withControlPlane(t, { rbac: [], controllerManager: false }, async (plane) => {
  const host = await ApproverHost.create(plane, { maxPerNodeAndHour: 100 });
  const roles = await host.roles();
  await bindSelfNodeServer(plane);
  await host.node('n1', ['192.0.2.1']);

  const without = (role: string, rule: number): readonly RoleObject[] =>
    roles.map((object) =>
      object.metadata.name !== role || object.rules === undefined
        ? object
        : { ...object, rules: object.rules.filter((_, index) => index !== rule) },
    );

  t.test('every rule has a row here', async (t) => {
    const all = roles.flatMap(({ metadata, rules = [] }) =>
      rules.map((_, index) => `${metadata.name} ${String(index)}`),
    );
    t.strictSame(
      BREAKS.map(({ role, rule }) => `${role} ${String(rule)}`),
      all,
    );
  });

  t.test('with all of them a request is approved, and one that fails is told on its Node', async (t) => {
    await host.apply(roles);
    await host.ask('whole', 'n1');
    await host.ask('whole-bad', 'n1', { content: { dnsNames: ['kubernetes'] } });
    const approver = host.start();
    t.teardown(() => approver.end('SIGKILL'));
    t.match(await host.decided('whole'), /^Approved CertletApproved: passed the rules form, usages/);
    await approver.line(/Not approved.*whole-bad/);
    const event = await eventually('the Event', async () => {
      const { json } = await plane.admin.want('/api/v1/namespaces/default/events');
      return json.items.find(
        ({ source }: { source: { component: string } }) => source.component === 'certlet-approver',
      );
    });
    t.match(event, { involvedObject: { kind: 'Node', name: 'n1' }, message: /whole-bad.*never/ });
    t.equal(await host.condition('whole-bad'), undefined);
    await approver.end();
  });

  for (const [index, { role, rule, says, isApproved }] of BREAKS.entries()) {
    t.test(`without rule ${String(rule)} of ${role}`, async (t) => {
      await plane.admin.call('/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/certlet-approver', {
        method: 'DELETE',
      });
      await host.apply(without(role, rule));
      const name = `without-${String(index)}`;
      await host.ask(name, 'n1');
      await host.ask(`${name}-bad`, 'n1', { content: { dnsNames: ['kubernetes'] } });
      const approver = host.start();
      t.teardown(() => approver.end('SIGKILL'));
      await approver.line(says);
      if (isApproved) t.match(await host.decided(name), /^Approved/);
      else t.equal(await host.condition(name), undefined);
      await approver.end();
      await host.apply(roles);
    });
  }
});
