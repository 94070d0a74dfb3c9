/** The example file shows every setting with its default. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { loadSettings } from '../../src/config.ts';
import { settingLeaves } from '../../src/config/flags.ts';
import { parseYaml } from '../../src/kubeconfig/yaml.ts';

const text = readFileSync(new URL('../../config/config.example.yaml', import.meta.url), 'utf8');
/** Settings have no blank behind the mark, those of a group two; comments have one, examples in them more. */
const uncommented = text.replace(/^#(?=[a-zA-Z]| {2}[a-zA-Z#])/gm, '');

function load(fileText: string | undefined): unknown {
  return { ...loadSettings({ flags: {}, fileText, filePath: '/c.yaml', osHostname: 'n' }), source: undefined };
}

t.test('as shipped it changes nothing', async (t) => {
  t.strictSame(load(text), load(undefined));
});

t.test('with every setting taken in it still changes nothing', async (t) => {
  // Who writes the default cert-dir down has named it.
  t.strictSame({ ...(load(uncommented) as object), certDirByDefault: true }, load(undefined));
});

t.test('no setting is left out', async (t) => {
  const shown = Object.keys(parseYaml(uncommented, 'example').value as object);
  const named = settingLeaves().map(({ path }) => String(path[0]));
  // They have no default to show: an example of each stands in a comment.
  t.strictSame(
    [...new Set(named)].filter((name) => !shown.includes(name)),
    ['moveKubeconfig', 'maxNames', 'expirationSeconds', 'reserve'],
  );
  for (const { path } of settingLeaves()) t.match(text, new RegExp(`\\b${String(path.at(-1))}\\b`));
});

t.test('the examples in its comments are good settings', async (t) => {
  const examples = text
    .split('\n')
    .filter((line) =>
      /^# ((expirationSeconds|maxNames|reserve|plainFiles|certificates|hooks|metrics):| {2,}\S)/.test(line),
    )
    .map((line) => line.slice(2))
    .join('\n');
  t.match(load(examples), {
    maxNames: 20,
    specs: [{ name: 'client' }, { name: 'serving' }, { name: 'kube-proxy' }],
    hooks: [{ name: 'reload-proxy' }],
    metrics: { textfile: /prom$/ },
  });
});
