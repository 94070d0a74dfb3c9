/**
 * undici without fetch, WebSocket, caches and mocks, which its own index loads: 4 MiB of resident memory that the service has no use for.
 * What is left is derived: the names from the source file that imports them, where each lives from undici's own index.
 */
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Plugin } from 'esbuild';

const root = resolve(import.meta.dirname, '../..');

/** What a source file imports from undici, types left out. Throws for any other form than a list of names. */
export function importedNames(source: string): readonly string[] {
  const [, list, ...more] = [...source.matchAll(/^import \{([^}]*)\} from 'undici';$/gm)].flatMap(([all, names]) => [
    all,
    names,
  ]);
  if (list === undefined || more.length > 0)
    throw new Error("undici is imported once, as: import { A, B as C } from 'undici'");
  return list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '' && !part.startsWith('type '))
    .map((part) => part.split(' ', 1)[0] ?? part);
}

/**
 * A module that exports these names of undici, and nothing that they do not need. Its classes are made as undici's index makes them: with
 * `request`, `connect` and the other methods of `lib/api` put in afterwards. Throws where the index does not have what it is searched for.
 */
export function slimModule(
  names: readonly string[],
  index: string = readFileSync(join(root, 'node_modules/undici/index.js'), 'utf8'),
): string {
  const fileOf = (name: string): string => {
    const path = new RegExp(`^const ${name} = require\\('\\./(lib/[^']+)'\\)$`, 'm').exec(index)?.[1];
    if (path === undefined) throw new Error(`undici's index.js has no line: const ${name} = require('./lib/…')`);
    return path;
  };
  const completion = 'Object.assign(Dispatcher.prototype, api)';
  if (!index.includes(`\n${completion}\n`)) throw new Error(`undici's index.js has no line: ${completion}`);
  return [
    ...['Dispatcher', ...names].map((name) => `import ${name} from 'undici/${fileOf(name)}';`),
    `import api from 'undici/${fileOf('api')}';`,
    `${completion};`,
    `export { ${names.join(', ')} };`,
  ].join('\n');
}

/**
 * Node's own timers in place of undici's, which look every half second at what a watch waits for during three minutes: nine of ten wake-ups of
 * an idle daemon. As undici's they keep no process alive.
 */
const PLAIN_TIMERS = `'use strict';
const start = (callback, delay, arg) => setTimeout(callback, delay, arg).unref();
module.exports = {
  setTimeout: start,
  clearTimeout: (timeout) => clearTimeout(timeout),
  setFastTimeout: start,
  clearFastTimeout: (timeout) => clearTimeout(timeout),
};
`;

/** certlet switches HTTP/2 off everywhere (`allowH2: false`), since it never multiplexes; Node's http2 costs each start some milliseconds. */
const NO_HTTP2 = `'use strict';
module.exports = () => {
  throw new Error('HTTP/2 is not in this program');
};
`;

/** undici's assertions are of one form; Node's module brings comparisons and messages for all others. */
const PLAIN_ASSERT = `'use strict';
module.exports = (holds, message = 'an assertion of undici does not hold') => {
  if (!holds) throw message instanceof Error ? message : new Error(message);
};
`;

/** A body is bytes or text: nothing asks for the modules of fetch that would encode a form. */
const NO_FORMS = `throw new Error('fetch and its forms are not in this program');`;

/** One parser of HTTP/1 in place of two: that for processors with SIMD is quicker with megabytes of headers, and the other one runs everywhere. */
const PLAIN_PARSER = `module.exports = require('./llhttp-wasm.js');`;

/** Defined, undici's HTTP/1 client leaves out its second, experimental parser, as it does in Node's own copy. */
export const UNDICI_DEFINES = { esbuildDetection: '1' } as const;

/** Puts the slim module wherever undici is imported. */
export const slimUndici: Plugin = {
  name: 'slim-undici',
  setup(builder) {
    builder.onResolve({ filter: /^undici$/ }, ({ importer }) => {
      const names = importedNames(readFileSync(importer, 'utf8'));
      return { path: `undici ${names.join(' ')}`, namespace: 'slim', pluginData: names };
    });
    builder.onResolve({ filter: /^node:assert$/ }, ({ importer }) =>
      importer.includes('/undici/lib/') ? { path: 'assert', namespace: 'slim' } : undefined,
    );
    builder.onLoad({ filter: /^assert$/, namespace: 'slim' }, () => ({ contents: PLAIN_ASSERT }));
    builder.onLoad({ filter: /\/undici\/lib\/util\/timers\.js$/ }, () => ({ contents: PLAIN_TIMERS }));
    builder.onLoad({ filter: /\/undici\/lib\/dispatcher\/client-h2\.js$/ }, () => ({ contents: NO_HTTP2 }));
    builder.onLoad({ filter: /\/undici\/lib\/llhttp\/llhttp_simd-wasm\.js$/ }, ({ path }) => ({
      contents: PLAIN_PARSER,
      resolveDir: dirname(path),
    }));
    builder.onLoad({ filter: /\/undici\/lib\/web\// }, () => ({ contents: NO_FORMS }));
    builder.onLoad({ filter: /^undici /, namespace: 'slim' }, ({ pluginData }) => ({
      contents: slimModule(pluginData as readonly string[]),
      resolveDir: root,
    }));
  },
};
