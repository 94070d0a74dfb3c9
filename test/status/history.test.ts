import t from 'tap';
import { historyText } from '../../src/status/history.ts';

t.test('what an approver or a server wrote coloured the terminal and cleared it', async (t) => {
  const at = '2030-01-01T00:00:00Z';
  const message = '\u001b[H\u001b[J\u001b[31mx';
  const text = historyText(
    [
      {
        purpose: 'client',
        requests: [{ request: 'r', requestedAt: at, endedAt: at, result: 'ERR_CSR_DENIED', message }],
      },
    ],
    { colour: true, columns: 200 },
  );
  t.match(text, '; \\u001b[H\\u001b[J\\u001b[31mx\n');
});
