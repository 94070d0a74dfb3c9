import { inSettings } from '../../src/remedy.ts';
import t from 'tap';
import { finding, good } from '../../src/check/finding.ts';
import type { StepReport } from '../../src/check/finding.ts';
import { checkDocument, checkText, tally } from '../../src/check/report.ts';

const about = { nodeName: 'n1', program: '0.1.0', now: new Date('2030-01-01T00:00:00Z') };
const reports: readonly StepReport[] = [
  { step: 'a', title: 'First', findings: [good('a', 'all is well')] },
  {
    step: 'b',
    title: 'Second',
    findings: [
      finding('problem', 'b.bad', `a long sentence ${'word '.repeat(12)}that is broken at its blanks`, {
        sure: 'likely',
        remedy: 'kubectl do this',
        causes: [
          { what: 'the first cause', sure: 'likely', remedy: 'kubectl do this' },
          { what: 'the second cause', sure: 'possible' },
        ],
      }),
      finding('warning', 'b.hm', 'something', {
        remedy: 'echo a command that is never broken however long it may be, since people copy it into a shell',
      }),
    ],
  },
  { step: 'c', title: 'Third', findings: [finding('skipped', 'c.skipped', 'no ground')] },
  { step: 'd', title: 'Fourth', findings: [finding('skipped', 'd.skipped', 'no ground')] },
  { step: 'e', title: 'Fifth', findings: [finding('skipped', 'e.unreadable', 'may not be read')] },
];

t.test(
  'for a person: headings, aligned words, causes in order, steps not taken in one block, a last line',
  async (t) => {
    t.equal(
      checkText(reports, { ...about, colour: false, columns: 70 }),
      `First
  ok       all is well

Second
  PROBLEM  a long sentence word word word word word word word word
           word word word word that is broken at its blanks (likely)
           1. the first cause (likely)
              fix: kubectl do this
           2. the second cause (possible)
  warning  something
           fix: echo a command that is never broken however long it may be, since people copy it into a shell

Not looked at
  skipped  Third; Fourth: no ground

Fifth
  skipped  may not be read

1 problem, 1 warning; 3 not looked at
`,
    );
  },
);

t.test('colours on a terminal only', async (t) => {
  const text = checkText(reports, { ...about, colour: true, columns: 100 });
  t.ok(text.includes('\u001b[31mPROBLEM\u001b[0m  a long'));
  t.ok(text.includes('\u001b[1mFirst\u001b[0m'));
});

t.test('words of a server or a program cleared the screen and coloured it', async (t) => {
  const evil = '\u001b[H\u001b[J\u001b[31mx';
  const found = finding('problem', 'a', evil, { remedy: `echo ${evil}` });
  const caused = finding('problem', 'a', evil, { causes: [{ what: evil, sure: 'likely', remedy: `echo ${evil}` }] });
  const text = checkText([{ step: 'a', title: 'A', findings: [found, caused] }], {
    ...about,
    colour: true,
    columns: 100,
  });
  t.equal(text.split('\\u001b[H\\u001b[J\\u001b[31mx').length, 6);
  t.notOk(text.includes('\u001b[H'));
});

t.test('the last line where nothing is wrong, and where there are warnings only', async (t) => {
  const last = (verdict: 'ok' | 'warning'): string | undefined =>
    checkText([{ step: 'a', title: 'A', findings: [finding(verdict, 'a', 'x')] }], {
      ...about,
      colour: false,
      columns: 0,
    })
      .trimEnd()
      .split('\n')
      .at(-1);
  t.equal(last('ok'), 'Nothing wrong was found');
  t.equal(last('warning'), '0 problems, 1 warning');
});

t.test('for programs: one versioned document', async (t) => {
  const document = JSON.parse(JSON.stringify(checkDocument(reports, about))) as Record<string, unknown>;
  t.match(document, {
    version: 1,
    checkedAt: '2030-01-01T00:00:00Z',
    certlet: '0.1.0',
    node: 'n1',
    summary: { ok: 1, note: 0, warning: 1, problem: 1, skipped: 3 },
  });
  t.match((document['findings'] as readonly unknown[])[1], {
    step: 'b',
    id: 'b.bad',
    verdict: 'problem',
    sure: 'likely',
    remedy: 'kubectl do this',
  });
  t.strictSame(tally([]), { ok: 0, note: 0, warning: 0, problem: 0, skipped: 0 });
});

t.test('what is wrong with the settings ran together into one paragraph', async (t) => {
  const what = `settings: 2 problems\n  /c.yaml:1: kubelt: is not a setting; did you mean kubelet?\n  /c.yaml:2: length: ${'word '.repeat(12)}end`;
  const found = finding('problem', 'settings.invalid', what);
  const text = checkText([{ step: 'settings', title: 'Settings', findings: [found] }], {
    ...about,
    colour: false,
    columns: 70,
  });
  t.equal(
    text,
    `Settings
  PROBLEM  settings: 2 problems
             /c.yaml:1: kubelt: is not a setting; did you mean
               kubelet?
             /c.yaml:2: length: word word word word word word word
               word word word word word end

1 problem, 0 warnings
`,
  );
});

t.test('a line for the settings file was called a fix, which a shell refused', async (t) => {
  const remedy = inSettings('followClusterCA: cluster-info');
  const found = finding('note', 'cluster-ca.follow', 'it is off', { remedy });
  const text = checkText([{ step: 'a', title: 'A', findings: [found] }], { ...about, colour: false, columns: 70 });
  t.match(
    text,
    '\n           do: Set followClusterCA: cluster-info in the settings.\n           why: then systemctl reload certlet\n',
  );
});
