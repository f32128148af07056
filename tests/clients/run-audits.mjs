// Holds a running server against GraphQL over HTTP: all of the audits that npm's graphql-http has for servers.
//
//     node run-audits.mjs http://127.0.0.1:4000/graphql
//
// It prints each audit that does not pass, then how many there were, and ends with 1 unless every one passed. An audit
// that only warns has not passed. The packages are looked for where this file is, so it is run from the folder that
// `npm ci` has filled with a copy of it; nothing is installed in the checkout.

import { auditServer } from 'graphql-http';

const url = process.argv[2];
if (!url) {
  console.error('usage: node run-audits.mjs URL');
  process.exit(2);
}

const results = await auditServer({ url, fetchFn: fetch });
const failed = results.filter((result) => result.status !== 'ok');

for (const result of failed) {
  console.log(`${result.status}: ${result.id} ${result.name}: ${result.reason}`);
  // A warning carries the answer that it is about; reading it shows what the server said.
  if (result.response) {
    console.log(`    ${result.response.status} ${await result.response.text().catch(() => '')}`);
  }
}
console.log(`${results.length - failed.length} of ${results.length} audits passed`);
// Answers that nobody has read keep connections open, and with them the process.
process.exit(failed.length === 0 && results.length > 0 ? 0 : 1);
