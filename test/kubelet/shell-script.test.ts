import t from 'tap';
import { isShellScript, readShellScript, sourcedFiles } from '../../src/kubelet/shell-script.ts';

const read = (text: string, given: readonly string[] = []) =>
  readShellScript({
    text,
    environment: new Map([['FROM_UNIT', '--v=2']]),
    given,
    sourced: new Map([['env', 'A=1\nB="$A 2"']]),
  });

for (const row of [
  { name: 'a plain command', text: 'kubelet --a=b', args: ['--a=b'] },
  { name: 'with its path, and exec before it', text: 'exec /opt/bin/kubelet --a b', args: ['--a', 'b'] },
  { name: 'hyperkube', text: 'nohup hyperkube kubelet --a &', args: ['--a'] },
  {
    name: 'values of the unit, of the script and of a sourced file',
    text: 'X=y\n. env\nkubelet $FROM_UNIT --x=$X --b="$B"',
    args: ['--v=2', '--x=y', '--b=1 2'],
  },
  { name: 'a variable outside of quotes is split', text: "F='--a --b'\nkubelet $F", args: ['--a', '--b'] },
  {
    name: 'exported and default values',
    text: 'export P=/k\nkubelet --p=${P}/x --q=${Q:-z} --r=${S-}',
    args: ['--p=/k/x', '--q=z', '--r='],
  },
  {
    name: 'quotes and escapes',
    text: `kubelet --a='b $c' "--d=\\"e\\"" --f\\ g`,
    args: ['--a=b $c', '--d="e"', '--f g'],
  },
  {
    name: 'what follows a redirection or a comment',
    text: 'kubelet --a#b --c > /log 2>&1 --d\nkubelet --z # --y',
    args: ['--z'],
  },
  { name: 'a redirection ends it', text: 'kubelet --a#b --c > /log 2>&1 --d', args: ['--a#b', '--c'] },
  { name: 'joined lines', text: 'kubelet \\\n  --a \\\n  --b', args: ['--a', '--b'] },
  { name: 'the program in a variable', text: 'K=/usr/bin/kubelet\n"$K" --a', args: ['--a'] },
  { name: 'an empty value', text: 'E=\nkubelet $E --a', args: ['--a'] },
  { name: 'another program that names it', text: 'systemctl stop kubelet\ncp kubelet /usr/bin', args: undefined },
  { name: 'no command at all', text: 'echo', args: undefined },
]) {
  t.test(`a script: ${row.name}`, async (t) => {
    t.strictSame(
      read(row.text)?.arguments.filter((word) => word !== ''),
      row.args,
    );
  });
}

t.test('what only a shell can tell is left out and named', async (t) => {
  const reading = read('N=$(hostname)\nkubelet --a=`date` --b=$N --c="$(id)" --d=$1 --e="$UNSET" --f');
  t.strictSame(reading?.arguments, ['--f']);
  t.strictSame(reading?.unknown, ['--a=`date`', '--b=$N', '--c="$(id)"', '--d=$1', '--e="$UNSET"']);
});

for (const row of [
  { text: 'kubelet --a "$@"', passes: true, args: ['--a', '--given'] },
  { text: 'kubelet --a $@', passes: true, args: ['--a', '--given'] },
  { text: 'kubelet "$@" --a', passes: false, args: ['--given', '--a'] },
  { text: 'kubelet --a', passes: false, args: ['--a'] },
]) {
  t.test(`arguments of the script: ${row.text}`, async (t) => {
    t.match(read(row.text, ['--given']), { passesArguments: row.passes, arguments: row.args });
    t.equal(read(row.text)?.passesArguments, row.passes, 'also where there are none');
  });
}

t.test('scripts are told by their first line, and the files that they read by name', async (t) => {
  for (const line of ['#!/bin/sh', '#!/usr/bin/env bash', '#! /bin/dash -e']) t.ok(isShellScript(`${line}\n`), line);
  for (const line of ['\u007fELF', '#!/usr/bin/python3', '#!/bin/csh', '']) t.notOk(isShellScript(`${line}\n`), line);
  t.strictSame(sourcedFiles('. /a\nsource "b.env"; x\n  . c\n# . d\n. $X'), ['/a', 'b.env', 'c']);
});
