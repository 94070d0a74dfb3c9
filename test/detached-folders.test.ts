import t from 'tap';
import { DetachedFolders } from '../src/detached-folders.ts';
import type { AgentSnapshot } from '../src/rotation/snapshot.ts';

/** Only what the watch looks at. */
const round = (phase: string, code?: string, message = 'open /pki/x: EROFS', path = '/pki/x'): AgentSnapshot =>
  ({
    managers: [{ phase, lastError: code && { code, message, path }, currentPath: '/pki/kubelet-client-current.pem' }],
  }) as unknown as AgentSnapshot;

t.test('a folder that was read-only from the start is waited out', async (t) => {
  const watch = new DetachedFolders();
  t.equal(watch.reasonToRestart(round('starting')), undefined);
  t.equal(watch.reasonToRestart(round('waiting to retry', 'ERR_STORE_READ_ONLY')), undefined);
  t.equal(watch.reasonToRestart(round('waiting to retry', 'ERR_STORE_READ_ONLY')), undefined);
});

t.test('a cert-dir removed under the running service (kubeadm reset) asks for a new process', async (t) => {
  const watch = new DetachedFolders();
  t.equal(watch.reasonToRestart(round('valid')), undefined);
  t.equal(
    watch.reasonToRestart(round('waiting to retry', 'ERR_STORE_FULL')),
    undefined,
    'a full disk is no such thing',
  );
  const reason = watch.reasonToRestart(round('waiting to retry', 'ERR_STORE_READ_ONLY'));
  t.match(reason, {
    code: 'ERR_STORE_DETACHED',
    message: /removed or mounted over under the running service, which starts again by itself: open \/pki\/x: EROFS/,
  });
});

t.test('a lock that does not hold any more asks for a new process, from the first round on', async (t) => {
  const reason = new DetachedFolders().reasonToRestart(
    round('starting', 'ERR_STORE_DETACHED', 'lock /pki/.certlet.lock'),
  );
  t.match(reason, { code: 'ERR_STORE_DETACHED', message: 'lock /pki/.certlet.lock' });
});

t.test('a bootstrap kubeconfig in a read-only folder does not start the service anew, again and again', async (t) => {
  const watch = new DetachedFolders();
  t.equal(watch.reasonToRestart(round('valid')), undefined);
  t.equal(
    watch.reasonToRestart(
      round('valid', 'ERR_STORE_READ_ONLY', 'unlink /etc/certlet/b.conf: EROFS', '/etc/certlet/b.conf'),
    ),
    undefined,
  );
  t.equal(
    watch.reasonToRestart(
      round('valid', 'ERR_STORE_READ_ONLY', 'unlink /pki-old/b.conf, not /pki: EROFS', '/pki-old/b.conf'),
    ),
    undefined,
    'a folder that is named but not meant',
  );
});

t.test('an error that names no path says nothing of the cert-dir', async (t) => {
  const pathless = (parts: object): AgentSnapshot =>
    ({
      managers: [{ phase: 'valid', currentPath: '/pki/kubelet-client-current.pem', lastError: parts }],
    }) as unknown as AgentSnapshot;
  const watch = new DetachedFolders();
  t.equal(watch.reasonToRestart(round('valid')), undefined);
  t.equal(watch.reasonToRestart(pathless({ code: 'ERR_STORE_READ_ONLY', message: 'EROFS' })), undefined);
  t.match(watch.reasonToRestart(pathless({ code: 'ERR_STORE_READ_ONLY', message: 'EROFS', path: '/pki' })), {
    code: 'ERR_STORE_DETACHED',
    message: 'the folder was removed or mounted over under the running service, which starts again by itself: EROFS',
  });
});

t.test('one certificate that still starts: the folder has not worked yet', async (t) => {
  const [valid] = round('valid').managers;
  const [starting] = round('starting').managers;
  const watch = new DetachedFolders();
  t.equal(watch.reasonToRestart({ managers: [valid, starting] } as unknown as AgentSnapshot), undefined);
  t.equal(watch.reasonToRestart(round('waiting to retry', 'ERR_STORE_READ_ONLY')), undefined, 'waited out');
});
