import { PassThrough, Writable } from 'node:stream';
import t from 'tap';
import { createLogger } from '../../../src/adapters/log/logger.ts';

const now = (): Date => new Date(2030, 0, 3, 4, 5, 6);

/** A stream that keeps what was written, as standard error of a process does: before the call returns. */
function lines(): { readonly stream: Writable; readonly read: () => readonly string[] } {
  const written: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk: string, _encoding, done) => {
      written.push(chunk);
      done();
    },
  });
  return { stream, read: () => written.join('').split('\n').slice(0, -1) };
}

for (const [format, line] of [
  ['journal', '<4>Waiting for approval csr=n1'],
  ['text', '2030-01-03T04:05:06Z WARN  Waiting for approval csr=n1'],
  [
    'json',
    JSON.stringify({
      time: now().toISOString().replace('.000', ''),
      level: 'warn',
      event: 'Waiting for approval',
      csr: 'n1',
    }),
  ],
] as const) {
  t.test(`${format}: a call is a line, written before it returns`, async (t) => {
    const { stream, read } = lines();
    const log = createLogger({ format, level: 'info', stream, colour: false, now });
    log.log('warn', 'Waiting for approval', { csr: 'n1' });
    t.strictSame(read(), [line]);
  });
}

t.test('lines below the level are left out, and the level can change', async (t) => {
  const { stream, read } = lines();
  const log = createLogger({ format: 'journal', level: 'warn', stream, colour: false, now });
  log.log('info', 'a');
  log.log('error', 'b');
  t.equal(log.level(), 'warn');
  log.setLevel('debug');
  log.log('debug', 'c');
  t.equal(log.level(), 'debug');
  log.setLevel('error');
  log.log('warn', 'd');
  t.strictSame(read(), ['<3>b', '<7>c']);
});

t.test('text with winston placeholders and odd field names comes out as given', async (t) => {
  const { stream, read } = lines();
  const log = createLogger({ format: 'journal', level: 'info', stream, colour: false, now });
  log.log('info', '100 %s %j', { message: 'm', level: 'l', splat: 's' });
  t.strictSame(read(), ['<6>100 %s %j message=m level=l splat=s']);
});

t.test('a reader that goes away (EPIPE) does not end the program, nor do later lines', async (t) => {
  let tries = 0;
  const stream = new Writable({
    autoDestroy: false,
    write: (_chunk, _encoding, done) => {
      tries += 1;
      done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    },
  });
  const log = createLogger({ format: 'json', level: 'info', stream, colour: false, now });
  log.log('info', 'one');
  await new Promise((resolve) => setImmediate(resolve));
  log.log('info', 'two');
  t.ok(tries >= 1);
});

t.test('a destroyed stream and a stream that throws are swallowed', async (t) => {
  const destroyed = new PassThrough();
  const log = createLogger({ format: 'json', level: 'info', stream: destroyed, colour: false, now });
  destroyed.destroy();
  t.doesNotThrow(() => log.log('info', 'one'));
  await new Promise((resolve) => setImmediate(resolve));

  const broken = new PassThrough();
  broken.write = () => {
    throw new Error('broken');
  };
  const other = createLogger({ format: 'json', level: 'info', stream: broken, colour: false, now });
  t.doesNotThrow(() => other.log('info', 'one'));
});

t.test('a second log on the same stream adds no second listener', async (t) => {
  const stream = new PassThrough();
  for (let count = 0; count < 30; count += 1)
    createLogger({ format: 'text', level: 'info', stream, colour: true, now });
  t.equal(stream.listeners('error').filter((listener) => listener.name === 'ignoreStreamError').length, 1);
});
