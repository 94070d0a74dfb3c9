import t from 'tap';
import { SaidOnce } from '../src/said-once.ts';

t.test('a text is news once, when it has changed, and when it was over in between', async (t) => {
  const said = new SaidOnce();
  t.strictSame(
    [said.isNews('a', 'x'), said.isNews('a', 'x'), said.isNews('b', 'x'), said.isNews('a', 'y')],
    [true, false, true, true],
  );
  said.over('a');
  t.equal(said.isNews('a', 'y'), true);
});

t.test('things that are named by ever new messages of others filled the memory', async (t) => {
  const said = new SaidOnce();
  for (let index = 0; index <= 300; index += 1) said.isNews(`the list ends at ${String(index)}`, '');
  t.equal(said.isNews('the list ends at 300', ''), false);
  t.equal(said.isNews('the list ends at 299', ''), false);
  t.equal(said.isNews('the list ends at 0', ''), true, 'it is forgotten');
});
