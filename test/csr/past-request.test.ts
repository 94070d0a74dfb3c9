import t from 'tap';
import {
  failedRequest,
  issuedRequest,
  KEPT_REQUESTS,
  keptApproval,
  type PastRequest,
  withPast,
} from '../../src/csr/past-request.ts';

const AT = new Date('2030-01-01T00:00:00.000Z');
const entry = (request: string): PastRequest => ({ request, requestedAt: AT, endedAt: AT, result: 'issued' });

t.test('the list of earlier requests never gets longer: the oldest go', async (t) => {
  let past: readonly PastRequest[] | undefined;
  for (let count = 0; count < KEPT_REQUESTS + 3; count += 1) past = withPast(past, entry(`r${String(count)}`));
  t.equal(past?.length, KEPT_REQUESTS);
  t.equal(past?.[0]?.request, 'r3');
});

t.test('a last step that is done twice, after a crash, tells of one request', async (t) => {
  const past = withPast(withPast(undefined, entry('a')), { ...entry('a'), serial: '1' });
  t.strictSame(past, [{ ...entry('a'), serial: '1' }]);
});

t.test('the same name asked for at another time is another request', async (t) => {
  const later = { ...entry('a'), requestedAt: new Date('2030-01-02T00:00:00.000Z') };
  t.equal(withPast([entry('a')], later).length, 2);
});

t.test('what an approver or a server writes without end does not fill the record', async (t) => {
  const long = 'x'.repeat(100_000);
  t.ok(keptApproval({ reason: long, message: long }).message.length <= 400);
  const failed = failedRequest(
    { name: 'a', createdAt: AT },
    { code: 'ERR_CSR_DENIED', message: long },
    { at: AT, failed: undefined },
  );
  t.ok((failed.message?.length ?? 0) <= 400);
});

t.test('an issued request keeps serial, end, approval and the tries before it', async (t) => {
  const failed = { since: AT, tries: 9, code: 'ERR_API_UNREACHABLE' };
  const approval = { reason: 'R', message: 'M' };
  t.strictSame(
    issuedRequest({ name: 'a', createdAt: AT, approval }, { serial: '1f', notAfter: AT }, { at: AT, failed }),
    { request: 'a', requestedAt: AT, endedAt: AT, approval, failed, result: 'issued', serial: '1f', expires: AT },
  );
});
