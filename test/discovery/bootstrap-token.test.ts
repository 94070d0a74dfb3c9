import t from 'tap';
import { bearerToken, parseBootstrapToken } from '../../src/discovery/bootstrap-token.ts';

t.test('a token is read with the line break that files end in', async (t) => {
  const token = parseBootstrapToken(' abcdef.0123456789abcdef\r\n', 'token file');
  t.equal(token.id, 'abcdef');
  t.equal(token.secret.reveal(), '0123456789abcdef');
  t.equal(bearerToken(token).reveal(), 'abcdef.0123456789abcdef');
  t.notMatch(JSON.stringify(token), /0123456789/);
});

for (const row of [
  { name: 'nothing', text: '' },
  { name: 'capital letters', text: 'ABCDEF.0123456789abcdef' },
  { name: 'a short secret', text: 'abcdef.0123456789abcde' },
  { name: 'a long secret', text: 'abcdef.0123456789abcdef0' },
  { name: 'no dot', text: 'abcdef0123456789abcdef0' },
  { name: 'two tokens', text: 'abcdef.0123456789abcdef\nghijkl.0123456789abcdef' },
]) {
  t.test(`refused without being repeated: ${row.name}`, async (t) => {
    try {
      parseBootstrapToken(row.text, '/run/token');
      t.fail('must throw');
    } catch (error) {
      t.match(error, { code: 'ERR_USAGE', message: /^\/run\/token: / });
      t.notMatch(String(error), /0123456789/);
    }
  });
}
