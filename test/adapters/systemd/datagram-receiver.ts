import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';

/** Prints each datagram, quoted as JSON would, with the sender's process id. Perl, because Node has no such socket. */
const PROGRAM = `
use Socket;
use strict;
my $name = shift;
$name =~ s/^\\@/\\0/;
socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
bind($s, pack_sockaddr_un($name)) or die "bind: $!";
$| = 1;
print "bound\\n";
while (defined recv($s, my $m, 65536, 0)) { $m =~ s/\\\\/\\\\\\\\/g; $m =~ s/\\n/|/g; print "$m\\n"; }
`;

/** A real datagram socket at a path or an abstract name (`@name`). */
export class DatagramReceiver {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string, undefined>;

  private constructor(child: ChildProcess, lines: Interface) {
    this.#child = child;
    this.#lines = lines[Symbol.asyncIterator]();
  }

  static async bind(socket: string): Promise<DatagramReceiver> {
    const child = spawn('perl', ['-e', PROGRAM, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    const receiver = new DatagramReceiver(child, createInterface({ input: child.stdout }));
    await receiver.next();
    return receiver;
  }

  /** The next datagram, its line breaks shown as `|`; the barrier that systemd-notify sends after its message is left out. */
  async next(): Promise<string> {
    const line = await this.#lines.next();
    if (line.done === true) throw new Error('the receiver ended');
    return line.value.startsWith('BARRIER=') ? this.next() : line.value;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}
