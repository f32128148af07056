// Emmett as a contender of Yado's bench: the event store of @event-driven-io/emmett-postgresql, with its own tables.
//
// tests/bench/CONTRACT.md says what a peer is told and what it prints. One process does everything: it takes less than half
// a core while PostgreSQL is busy, and two of them were not faster.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { run } from './round.mjs';
import { openAccounts, openStore } from './store.mjs';

/** How many connections the pool has. Half as many and twice as many are no faster, with 32 clients or with 128. */
const CONNECTIONS = 32;

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const flags = () => {
  const text = { type: 'string' };
  const options = { 'database-url': text, data: text, accounts: text, payload: text, seed: text, python: text };
  const { values } = parseArgs({ options });
  return { url: values['database-url'], accounts: Number(values.accounts) };
};

const version = () => {
  const { dependencies } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
  return `emmett-postgresql ${dependencies['@event-driven-io/emmett-postgresql']} on Node ${process.versions.node}`;
};

const main = async () => {
  const { url, accounts } = flags();
  const { store, close } = openStore(url, CONNECTIONS);
  await openAccounts(store, accounts);
  say({
    ready: true,
    version: version(),
    settings:
      `CommandHandler without projections, retries at once after a conflict; one process, a pool of ${CONNECTIONS} ` +
      "connections; the server's fsync and synchronous_commit are on",
    url: null,
  });
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      say(await run(store, JSON.parse(line)));
    } catch (error) {
      say({ failed: String(error) });
    }
  }
  await close();
};

main().catch((error) => {
  say({ ready: false, reason: error instanceof Error ? error.message : String(error) });
  process.exit(1);
});
