import t from 'tap';
import { openMetricsEndpoint } from '../../src/adapters/metrics-endpoint.ts';

for (const row of [
  { path: '/metrics', status: 200, text: 'up 1\n' },
  { path: '/metrics?x=/healthz', status: 200, text: 'up 1\n' },
  { path: '/metrics', method: 'HEAD', status: 200, text: '' },
  { path: '/metrics', method: 'POST', status: 405, text: 'GET or HEAD\n', allow: 'GET, HEAD' },
  { path: '/metrics', method: 'DELETE', status: 405, text: 'GET or HEAD\n', allow: 'GET, HEAD' },
  { path: '/metrics/', status: 404, text: 'there is /metrics\n' },
  { path: '/', status: 404, text: 'there is /metrics\n' },
  { path: '/healthz', status: 404, text: 'there is /metrics\n' },
  { path: '/healthz', alive: true, status: 200, text: 'ok\n' },
  { path: '/healthz?verbose', alive: true, status: 200, text: 'ok\n' },
  { path: '/healthz', alive: false, status: 503, text: 'hangs\n' },
]) {
  const { method = 'GET', alive } = row;
  t.test(
    `${method} ${row.path} of a program that ${alive === undefined ? 'tells no health' : `is ${alive ? 'well' : 'stuck'}`}`,
    async (t) => {
      const isAlive = alive === undefined ? undefined : (): boolean => alive;
      const server = await openMetricsEndpoint(
        { host: '127.0.0.1', port: 0, setting: 'metrics.address' },
        () => 'up 1\n',
        isAlive,
      );
      t.teardown(() => server.close());
      const answer = await fetch(`http://127.0.0.1:${String(server.port)}${row.path}`, { method });
      t.strictSame([answer.status, await answer.text()], [row.status, row.text]);
      t.equal(answer.headers.get('allow'), row.allow ?? null);
    },
  );
}

for (const setting of ['metrics.address', 'approve.metricsAddress'] as const) {
  t.test(`a port that another has is named with the command that finds who, and with ${setting}`, async (t) => {
    const first = await openMetricsEndpoint({ host: '127.0.0.1', port: 0, setting }, () => '');
    t.teardown(() => first.close());
    const port = first.port ?? 0;
    await t.rejects(
      openMetricsEndpoint({ host: '127.0.0.1', port, setting }, () => ''),
      {
        code: 'ERR_CONTROL',
        message: `cannot serve metrics at 127.0.0.1:${String(port)}: EADDRINUSE`,
        remedy: `ss -ltnp 'sport = :${String(port)}'   # shows who has it; or set ${setting} to a free port`,
      },
    );
  });
}
