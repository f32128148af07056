// Lends a GraphQL client of npm's to whoever writes lines to it.
//
//     node bridge.mjs CLIENT http://127.0.0.1:4000/graphql
//
// CLIENT is urql, graphql-ws or graphql-sse. A line that is read is `{"id", "query", "variables"}`; it starts an operation,
// and `{"id", "stop": true}` ends one. Lines that are written are `{"id", "next": answer}` for each answer that the client
// gives, then `{"id", "done": true}`, or `{"id", "failed": {"code", "reason"}}` if it gives up. The answers are the
// client's own: nothing is mended on the way. The packages are looked for where this file is, so it is run from the
// folder that `npm ci` has filled with a copy of it.

import { createInterface } from 'node:readline';
import { parse, OperationTypeNode } from 'graphql';
import { createClient as createWs } from 'graphql-ws';
import { createClient as createSse } from 'graphql-sse';
import { Client, createRequest, fetchExchange, subscriptionExchange } from '@urql/core';
import WebSocket from 'ws';

const [, , name, url] = process.argv;

/**
 * The client that applications use over WebSocket. It is not to hide a broken connection by connecting anew; so it keeps
 * the one that it has, because an operation that begins while it closes an idle one would fail.
 */
const ws = () =>
  createWs({ url: url.replace(/^http/, 'ws'), webSocketImpl: WebSocket, retryAttempts: 0, lazyCloseTimeout: 60_000 });

/** What starts an operation with each client: it calls the sink as the client answers, and returns what stops it. */
const clients = {
  'graphql-ws': () => {
    const client = ws();
    return (request, sink) => client.subscribe(request, sink);
  },
  'graphql-sse': () => {
    const client = createSse({ url, retryAttempts: 0 });
    return (request, sink) => client.subscribe(request, sink);
  },
  urql: () => {
    const socket = ws();
    const forwardSubscription = ({ query, variables }) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
    });
    const exchanges = [fetchExchange, subscriptionExchange({ forwardSubscription })];
    const client = new Client({ url, exchanges, preferGetMethod: false });
    return ({ query, variables }, sink) => {
      const { operation: kind } = parse(query).definitions.find(({ operation }) => operation);
      const operation = client.createRequestOperation(kind, createRequest(query, variables));
      const { unsubscribe } = subscribe(client.executeRequestOperation(operation), sink, kind);
      return unsubscribe;
    };
  },
};

/**
 * Hands urql's results on as answers of GraphQL. A query and a mutation have one result, and are not said to be over: who
 * has it leaves, because urql answers the same question from what it knows for as long as somebody listens.
 */
function subscribe(results, sink, kind) {
  const isMany = kind === OperationTypeNode.SUBSCRIPTION;
  const { unsubscribe } = results.subscribe(({ data, error, extensions, hasNext }) => {
    if (error?.networkError) {
      sink.error(error.networkError);
    } else if (data !== undefined || error) {
      sink.next({ data: data ?? null, ...(error && { errors: error.graphQLErrors }), ...(extensions && { extensions }) });
    }
    if (!isMany || hasNext === false) {
      sink.complete();
      setImmediate(() => unsubscribe());
    }
  });
  return { unsubscribe };
}

if (!clients[name] || !url) {
  console.error(`usage: node bridge.mjs ${Object.keys(clients).join('|')} URL`);
  process.exit(2);
}

const start = clients[name]();
const running = new Map();
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

for await (const line of createInterface({ input: process.stdin })) {
  const { id, query, variables, stop } = JSON.parse(line);
  if (stop) {
    running.get(id)?.();
    running.delete(id);
    continue;
  }
  const sink = {
    next: (answer) => say({ id, next: answer }),
    complete: () => say({ id, done: true }),
    error: (reason) => say({ id, failed: failure(reason) }),
  };
  running.set(id, start({ query, variables }, sink));
}
// Whoever wrote the lines is gone; sockets that are open still would keep this process alive.
process.exit(0);

/** What a client gave up for: errors of GraphQL, the close of a socket, or an exception. */
function failure(reason) {
  if (Array.isArray(reason)) {
    return { errors: reason };
  }
  return { code: reason?.code ?? null, reason: String(reason?.reason || reason?.message || reason) };
}
