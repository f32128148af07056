// Emmett's event store in PostgreSQL, and a deposit through its command handler.

import { CommandHandler, isExpectedVersionConflictError } from '@event-driven-io/emmett';
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import pg from 'pg';

import { deposit, evolve, initialState } from './account.mjs';

/** How many accounts are being opened at a time. */
const OPENED_AT_ONCE = 64;

/** How often a deposit is tried that loses against others. */
const ATTEMPTS = 100;

// At once: the loser only waits until it has loaded again. The library's own default, 100 ms and more, is kinder to a
// database that is overloaded, and slower.
const handle = CommandHandler({
  evolve,
  initialState,
  retry: {
    onVersionConflict: {
      retries: ATTEMPTS - 1,
      minTimeout: 0,
      maxTimeout: 0,
      shouldRetryError: isExpectedVersionConflictError,
    },
  },
});

const streamOf = (account) => `account-${account}`;

/** Opens the store with a pool of a size. It makes its tables when it is first used. */
export const openStore = (connectionString, connections) => {
  const pool = new pg.Pool({ connectionString, max: connections, idleTimeoutMillis: 0 });
  const store = getPostgreSQLEventStore(connectionString, { connectionOptions: { pool } });
  const close = async () => {
    await store.close();
    await pool.end();
  };
  return { store, close };
};

/** Opens accounts, one stream each. */
export const openAccounts = async (store, accounts) => {
  let next = 0;
  const open = async () => {
    while (next < accounts) {
      const stream = streamOf(next++);
      await store.appendToStream(stream, [{ type: 'Opened', data: { owner: 'somebody' } }], { expectedStreamVersion: 0n });
    }
  };
  await Promise.all(Array.from({ length: OPENED_AT_ONCE }, open));
};

/** Loads, decides, and appends with the version that was loaded; tried again if another one was faster. */
export const depositInto = (store, account, data) => handle(store, streamOf(account), (state) => deposit(state, data));
