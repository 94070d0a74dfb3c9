/** Events on the Node under the node's own identity: admission and RBAC of a real API server let them through, and repeats become counts. */
import t from 'tap';
import { eventually } from '../fixtures/eventually.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

interface EventObject {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  readonly involvedObject: { readonly kind: string; readonly name: string };
  readonly source: { readonly component: string; readonly host: string };
}

await withControlPlane(t, {}, (plane) => {
  const eventsOf = async (node: string): Promise<readonly EventObject[]> => {
    const selector = encodeURIComponent(`involvedObject.kind=Node,involvedObject.name=${node}`);
    const { json } = await plane.admin.want(`/api/v1/namespaces/default/events?fieldSelector=${selector}`);
    return json.items as readonly EventObject[];
  };
  const event = (node: string, reason: string, count = 1): Promise<EventObject> =>
    eventually(`event ${reason} of ${node}`, async () =>
      (await eventsOf(node)).find((each) => each.reason === reason && each.count >= count),
    );

  t.test('rotated, waiting and denied are told on the Node', async (t) => {
    const host = hostFor(t, plane, 'events', { events: true });
    host.bootstrapWith(await plane.createBootstrapToken({ id: 'events', secret: '0123456789abcdef' }));
    const certlet = host.start();
    t.match(await event('events', 'CertificateRotated'), {
      type: 'Normal',
      message: /^client certificate [0-9a-f]+ is current until/,
      involvedObject: { kind: 'Node', name: 'events' },
      source: { component: 'certlet', host: 'events' },
    });
    const pending = await plane.pendingCsr('serving', 'events');
    t.match(await event('events', 'CertificateRequestWaiting'), { type: 'Warning', message: /serving/ });
    await plane.deny(pending.metadata.name);
    t.match(await event('events', 'CertificateRequestDenied'), { type: 'Warning', message: /is denied/ });
    t.equal(certlet.count(/Cannot send Events/), 0);
    t.match(
      await plane.kubectl(['get', 'events', '--field-selector', 'involvedObject.name=events']),
      /CertificateRequestDenied/,
    );
    const posted = plane.requests({ user: 'system:node:events', resource: 'events' });
    t.ok(posted.length >= 3, 'under the identity of the node');
  });
});
