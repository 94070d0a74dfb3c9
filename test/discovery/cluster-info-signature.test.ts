import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import { signatureProblems } from '../../src/discovery/cluster-info-signature.ts';
import { Secret } from '../../src/secret.ts';

const VECTOR = {
  content: 'Hello from the other side. I must have called a thousand times.',
  token: { id: 'joshua', secret: new Secret('my voice is my passcode') },
  jws: 'eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8',
};

const encode = (text: string): string => Buffer.from(text, 'utf8').toString('base64url');

function sign(header: string, content: string, secret: string): string {
  const mac = createHmac('sha256', secret)
    .update(`${encode(header)}.${encode(content)}`)
    .digest('base64url');
  return `${encode(header)}..${mac}`;
}

t.test("the vector of Kubernetes' own jws_test.go is accepted", async (t) => {
  t.strictSame(signatureProblems(VECTOR.content, VECTOR.jws, VECTOR.token), []);
});

t.test('a header with its fields in another order is accepted, since the MAC is made over it as it came', async (t) => {
  const jws = sign('{"kid": "joshua", "alg": "HS256"}', VECTOR.content, 'my voice is my passcode');
  t.strictSame(signatureProblems(VECTOR.content, jws, VECTOR.token), []);
});

const mac = VECTOR.jws.split('.')[2] ?? '';
const secret = 'my voice is my passcode';
for (const row of [
  {
    name: 'one more line break in the document',
    content: `${VECTOR.content}\n`,
    jws: VECTOR.jws,
    want: /does not match/,
  },
  { name: 'a MAC that is cut short', content: VECTOR.content, jws: VECTOR.jws.slice(0, -4), want: /does not match/ },
  { name: 'no MAC at all', content: VECTOR.content, jws: VECTOR.jws.slice(0, -mac.length), want: /does not match/ },
  {
    name: 'alg none',
    content: VECTOR.content,
    jws: `${encode('{"alg":"none","kid":"joshua"}')}..`,
    want: /algorithm is "none"/,
  },
  {
    name: 'a signature for another id',
    content: VECTOR.content,
    jws: sign('{"alg":"HS256","kid":"abcdef"}', VECTOR.content, secret),
    want: /token id "abcdef"/,
  },
  {
    name: 'no kid',
    content: VECTOR.content,
    jws: sign('{"alg":"HS256"}', VECTOR.content, secret),
    want: /token id unknown/,
  },
  {
    name: 'a signature that carries its payload',
    content: VECTOR.content,
    jws: `eyJ9.${encode('x')}.${mac}`,
    want: /not detached/,
  },
  { name: 'two parts', content: VECTOR.content, jws: 'a.b', want: /compact form/ },
  { name: 'four parts', content: VECTOR.content, jws: 'a..b.c', want: /compact form/ },
  {
    name: 'a header that is no JSON',
    content: VECTOR.content,
    jws: `${encode('{')}..${mac}`,
    want: /not a JSON object/,
  },
  {
    name: 'a header that is a list',
    content: VECTOR.content,
    jws: `${encode('[]')}..${mac}`,
    want: /not a JSON object/,
  },
]) {
  t.test(`refused: ${row.name}`, async (t) => {
    t.match(signatureProblems(row.content, row.jws, VECTOR.token).join('\n'), row.want);
  });
}

t.test('a wrong secret is refused, and no problem repeats any secret', async (t) => {
  const problems = signatureProblems(VECTOR.content, VECTOR.jws, {
    id: 'joshua',
    secret: new Secret('my voice is my passworT'),
  });
  t.equal(problems.length, 1);
  t.notMatch(problems.join(), /my voice/);
});

t.test('whatever is signed is accepted, and not with one character more', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 1 }), (content, secret) => {
      const token = { id: 'abcdef', secret: new Secret(secret) };
      const jws = sign('{"alg":"HS256","kid":"abcdef"}', content, secret);
      return (
        signatureProblems(content, jws, token).length === 0 && signatureProblems(`${content} `, jws, token).length > 0
      );
    }),
  );
});
