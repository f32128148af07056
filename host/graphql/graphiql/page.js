// The page: GraphiQL on this server's own API.

import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';
import 'graphiql/style.css';

const WORKERS = { graphql: 'graphql', json: 'json' };

// The editor does its work in workers, which come from this server like everything else.
globalThis.MonacoEnvironment = {
  getWorker: (_id, language) => new Worker(`/graphiql/${WORKERS[language] ?? 'editor'}.worker.js`),
};

const defaultQuery = `# The documentation on the left has everything that this server knows.
{
  yado {
    version
    plugins {
      name
      version
    }
  }
}
`;

// Subscriptions go over a WebSocket to where the page comes from.
const subscriptionUrl = `${location.origin.replace(/^http/, 'ws')}/graphql`;
const fetcher = createGraphiQLFetcher({ url: '/graphql', subscriptionUrl });
const page = createRoot(document.getElementById('graphiql'));
page.render(createElement(GraphiQL, { defaultQuery, fetcher, visiblePlugin: 'Documentation Explorer' }));
