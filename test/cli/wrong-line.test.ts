/** A wrong command line with what is wrong with its settings below it. */
import type { Remedy } from '../../src/remedy.ts';
import t from 'tap';
import { findCommand } from '../../src/cli/commands.ts';
import { wrongLineError } from '../../src/cli/wrong-line.ts';
import { CertletError } from '../../src/errors.ts';
import type { Command } from '../../src/cli/command.ts';

const invalid = (message: string, remedy?: Remedy): CertletError =>
  new CertletError('ERR_CONFIG_INVALID', message, remedy === undefined ? {} : { remedy });

const rows: readonly {
  readonly name: string;
  readonly command: Command['name'];
  readonly problems: readonly string[];
  readonly settings?: CertletError;
  readonly expected: { readonly code: string; readonly message: string; readonly remedy: string };
}[] = [
  {
    name: 'one flag',
    command: 'renew',
    problems: ['--timeout: no duration'],
    expected: { code: 'ERR_USAGE', message: '--timeout: no duration', remedy: 'certlet renew --help' },
  },
  {
    name: 'two flags are counted',
    command: 'once',
    problems: ['--timeout: no duration', '--every: no duration'],
    expected: {
      code: 'ERR_USAGE',
      message: '2 problems:\n--timeout: no duration\n--every: no duration',
      remedy: 'certlet once --help',
    },
  },
  {
    name: 'a flag and one setting: the heading of the settings goes',
    command: 'renew',
    problems: ['--timeout: no duration'],
    settings: invalid('settings: nodeIP: no address', '# Mend the file.'),
    expected: {
      code: 'ERR_CONFIG_INVALID',
      message: '2 problems:\n--timeout: no duration\nnodeIP: no address',
      remedy: '# Mend the file.   # the command line: certlet renew --help',
    },
  },
  {
    name: 'a flag and several settings: the line that counts them goes',
    command: 'renew',
    problems: ['--timeout: no duration'],
    settings: invalid('settings: 2 problems:\nnodeIP: no address\ncertDir: not absolute'),
    expected: {
      code: 'ERR_CONFIG_INVALID',
      message: '3 problems:\n--timeout: no duration\nnodeIP: no address\ncertDir: not absolute',
      remedy: '# Mend what is listed.   # the command line: certlet renew --help',
    },
  },
  {
    name: 'a flag for a setting is wrong as well: it stays a matter of the line',
    command: 'renew',
    problems: ['--timeout: no duration'],
    settings: new CertletError('ERR_USAGE', '--node-ip: no address'),
    expected: {
      code: 'ERR_USAGE',
      message: '2 problems:\n--timeout: no duration\n--node-ip: no address',
      remedy: 'certlet renew --help',
    },
  },
  {
    name: 'a command without settings reads none',
    command: 'completion',
    problems: ['SHELL: fish or none'],
    settings: invalid('settings: never read'),
    expected: { code: 'ERR_USAGE', message: 'SHELL: fish or none', remedy: 'certlet completion --help' },
  },
];
for (const { name, command, problems, settings, expected } of rows) {
  t.test(`a wrong line: ${name}`, async (t) => {
    const choice = { settingsPath: undefined, settingFlags: {} };
    const line = {
      kind: 'wrong',
      command,
      readsSettings: findCommand(command)?.settings === true,
      problems,
      settings: choice,
    } as const;
    const error = await wrongLineError(line, async () => {
      if (settings !== undefined) throw settings;
    });
    t.strictSame({ code: error.code, message: error.message, remedy: error.remedy }, expected);
  });
}

t.test('a defect in reading the settings is not told as a wrong line', async (t) => {
  const choice = { settingsPath: undefined, settingFlags: {} };
  const line = {
    kind: 'wrong',
    command: 'renew',
    readsSettings: true,
    problems: ['--timeout: x'],
    settings: choice,
  } as const;
  const defect = new TypeError('a defect');
  await t.rejects(
    wrongLineError(line, async () => {
      throw defect;
    }),
    defect,
  );
});
