import t from 'tap';
import { type Conversation, conversationProblems } from '../fixtures/cluster/conversation.ts';

const row: Conversation = {
  name: 'a row',
  method: 'GET',
  path: '/',
  as: 'none',
  expect: { status: 200, body: { kind: 'A', list: [{ name: 'x' }], gone: undefined }, headers: { warning: undefined } },
};
const good = { status: 200, headers: {}, text: '{"kind":"A","list":[{"name":"x","more":1}],"other":2}' };

for (const { name, answer, problems } of [
  { name: 'what is not named may differ', answer: good, problems: [] },
  { name: 'the status', answer: { ...good, status: 201 }, problems: ['status is 201, wanted 200'] },
  {
    name: 'a field',
    answer: { ...good, text: '{"kind":"B","list":[{"name":"x"}]}' },
    problems: ['body.kind is "B", wanted "A"'],
  },
  {
    name: 'the length of a list',
    answer: { ...good, text: '{"kind":"A","list":[]}' },
    problems: ['body.list has 0 items, wanted 1'],
  },
  {
    name: 'a field that must be absent',
    answer: { ...good, text: '{"kind":"A","list":[{"name":"x"}],"gone":1}' },
    problems: ['body.gone is 1, wanted undefined'],
  },
  { name: 'a body that is no JSON', answer: { ...good, text: 'x' }, problems: ['body is "x", wanted an object'] },
  {
    name: 'a header',
    answer: { ...good, headers: { warning: 'w' } },
    problems: ['header warning is "w", wanted undefined'],
  },
])
  t.test(`the comparison sees ${name}`, async (t) => {
    t.strictSame(conversationProblems(row, answer), problems);
  });

t.test('the comparison sees a wrong first line and a wrong text', async (t) => {
  const first = { ...row, firstLineOnly: true, expect: { status: 200, body: { type: 'ADDED' } } };
  t.strictSame(conversationProblems(first, { ...good, text: '{"type":"ADDED"}\nnot JSON' }), []);
  t.equal(conversationProblems(first, { ...good, text: '{"type":"ERROR"}\n' }).length, 1);
  const text = { ...row, expect: { status: 200, text: 'ok' } };
  t.strictSame(conversationProblems(text, { ...good, text: 'no' }), ['text is "no", wanted "ok"']);
});
