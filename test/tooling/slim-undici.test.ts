import { EventEmitter, once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { type Duplex, PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import type { Dispatcher } from 'undici';
import { bundle } from '../../config/tooling/bundle.ts';
import { importedNames, slimModule } from '../../config/tooling/slim-undici.ts';

type Exports = Readonly<Record<string, unknown>>;

const root = resolve(import.meta.dirname, '../..');
const source = readFileSync(join(root, 'src/adapters/api/dispatcher.ts'), 'utf8');
const names = importedNames(source);

const whole = createRequire(import.meta.url)('undici') as Exports;
const slim = await loadSlim();

async function loadSlim(): Promise<Exports> {
  const folder = t.testdir({
    'entry.ts': `import { ${names.join(', ')} } from 'undici';\nexport { ${names.join(', ')} };\n`,
  });
  await bundle(join(folder, 'entry.ts'), join(folder, 'slim.cjs'));
  return createRequire(import.meta.url)(join(folder, 'slim.cjs')) as Exports;
}

const classes = names.filter((name) => /^[A-Z]/.test(name));

/** Names of everything that an instance has from its class and those above it; what every object and every emitter has is left out. */
function methodsOf(type: unknown): readonly string[] {
  const found = new Set<string>();
  let prototype = (type as { readonly prototype: object }).prototype;
  while (prototype !== EventEmitter.prototype && prototype !== Object.prototype) {
    for (const key of Reflect.ownKeys(prototype)) found.add(String(key));
    prototype = Reflect.getPrototypeOf(prototype) ?? Object.prototype;
  }
  found.delete('constructor');
  return [...found].sort();
}

t.test('the shipped undici has every name that the sources import, and every method of every class', async (t) => {
  t.ok(classes.length >= 2, classes.join(', '));
  for (const name of names) t.equal(typeof slim[name], typeof whole[name], name);
  for (const name of classes) t.strictSame(methodsOf(slim[name]), methodsOf(whole[name]), name);
});

/** A server that answers, upgrades, and is its own proxy. */
async function startServer(t: Test): Promise<string> {
  const server = createServer((request, response) => void request.resume().on('end', () => response.end('answer')));
  const sockets = new Set<Duplex>();
  server.on('connection', (socket: Duplex) => sockets.add(socket));
  server.on('upgrade', (_request, socket: Duplex) => {
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: words\r\n\r\n');
  });
  server.on('connect', (_request, client: Duplex) => {
    const upstream = connect((server.address() as AddressInfo).port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(client).pipe(upstream);
    });
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    client.on('close', () => upstream.destroy());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

/** Calls of one dispatcher in this order: what it must answer with. */
const CALLS: Readonly<Record<string, (dispatcher: Dispatcher, origin: string) => Promise<unknown>>> = {
  async request(dispatcher, origin) {
    const { body } = await dispatcher.request({ origin, path: '/', method: 'GET' });
    return body.text();
  },
  async stream(dispatcher, origin) {
    const sink = new PassThrough();
    await dispatcher.stream({ origin, path: '/', method: 'GET' }, () => sink);
    return text(sink);
  },
  async pipeline(dispatcher, origin) {
    const answer = dispatcher.pipeline({ origin, path: '/', method: 'PUT' }, ({ body }) => body);
    answer.end('question');
    return text(answer);
  },
  async upgrade(dispatcher, origin) {
    const { headers, socket } = await dispatcher.upgrade({ origin, path: '/', protocol: 'words' } as never);
    socket.destroy();
    return headers['upgrade'] === 'words' ? 'answer' : headers;
  },
  async connect(dispatcher, origin) {
    const { statusCode, socket } = await dispatcher.connect({ origin, path: 'far:1' } as never);
    socket.destroy();
    return statusCode === 200 ? 'answer' : statusCode;
  },
  async compose(dispatcher, origin) {
    const { body } = await dispatcher.compose((dispatch) => dispatch).request({ origin, path: '/', method: 'GET' });
    return body.text();
  },
  dispatch(dispatcher, origin) {
    return new Promise((done, failed) => {
      let answer = '';
      dispatcher.dispatch(
        { origin, path: '/', method: 'GET' },
        {
          onRequestStart: () => undefined,
          onResponseStart: () => undefined,
          onResponseData: (_controller, chunk) => void (answer += chunk.toString()),
          onResponseEnd: () => done(answer),
          onResponseError: (_controller, error) => failed(error),
        },
      );
    });
  },
};

for (const name of classes) {
  t.test(`the shipped undici: every method of ${name} can be called`, async (t) => {
    const origin = await startServer(t);
    const Class = slim[name] as new (options: unknown) => Dispatcher;
    const open = (): Dispatcher =>
      name === 'ProxyAgent' ? new Class({ uri: origin, proxyTunnel: true }) : new Class(name === 'Agent' ? {} : origin);
    const dispatcher = open();
    for (const [method, call] of Object.entries(CALLS)) t.equal(await call(dispatcher, origin), 'answer', method);
    await dispatcher.close();
    await open().destroy();
    // What is left are looks at a state, and undici's own calls, whose names are symbols.
    const called = new Set([...Object.keys(CALLS), 'close', 'destroy']);
    for (const key of methodsOf(Class).filter((key) => !called.has(key) && !key.startsWith('Symbol(')))
      t.doesNotThrow(() => Reflect.get(open(), key) as unknown, key);
    const functions = methodsOf(Class).filter((key) => typeof Reflect.get(open(), key) === 'function');
    t.strictSame(
      functions.filter((key) => !key.startsWith('Symbol(')),
      [...called].sort(),
      'the table above lists them all',
    );
  });
}

t.test(
  'a way of importing that the derivation does not know fails the build, and so does another undici',
  async (t) => {
    t.strictSame(importedNames("import { A, type B, C as D } from 'undici';"), ['A', 'C']);
    for (const text of ["import undici from 'undici';", "import { A } from 'undici';\nimport { B } from 'undici';"])
      t.throws(() => importedNames(text), { message: /is imported once/ });
    t.throws(() => slimModule(['Nonsense']), { message: /no line: const Nonsense = require/ });
    t.throws(() => slimModule([], "const Dispatcher = require('./lib/d')\n"), { message: /no line: Object\.assign/ });
  },
);

t.test('undici asserts by a plain call alone, which is all that its assert in the bundle knows', async (t) => {
  const lib = join(root, 'node_modules/undici/lib');
  const files = readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.js'));
  const texts = files
    .map((path) => readFileSync(join(lib, path), 'utf8'))
    .filter((text) => text.includes('node:assert'));
  t.ok(texts.length > 20, String(texts.length));
  const others = texts.flatMap((text) => [
    ...(text.match(/.*require\('node:assert.*/g) ?? []).filter(
      (line) => line !== "const assert = require('node:assert')",
    ),
    ...(text.match(/\bassert\.\w+/g) ?? []),
  ]);
  t.strictSame(others, []);
});
