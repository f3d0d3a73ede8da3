#!/usr/bin/env bash
# express-idempotency answers a repeated key with the stored response, and then calls the next handler all the same. The
# client sees one receipt and the act is done twice, unless each handler asks isHit() first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund express@5.3.0 express-idempotency@1.0.6
npm ls --depth=0 | tail -n +2

cat > try.js <<'JS'
import assert from 'node:assert/strict';
import express from 'express';
import * as keys from 'express-idempotency';

let given = 0;
const app = express();
app.use(express.json());
app.use(keys.idempotency());
app.post('/issue', (request, response) => {
  given += request.body.count;
  if (!response.headersSent) response.status(201).json({ given });
});
app.use((error, request, response, next) => {
  if (response.headersSent) next(error);
  else response.json({ error: error.message });
});

const server = app.listen(0, '127.0.0.1', async () => {
  const issue = async (count) => {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/issue`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'b1f0f3de-5f0e-4a55-9f6a-0d1f6f0a7c11' },
      body: JSON.stringify({ item: 'water', count }),
    });
    const seen = { status: answer.status, body: await answer.json(), givenOnTheServer: given };
    console.log(`issue ${count}:`, JSON.stringify(seen));
    return seen;
  };
  assert.deepEqual(await issue(40), { status: 201, body: { given: 40 }, givenOnTheServer: 40 });
  assert.deepEqual(await issue(40), { status: 201, body: { given: 40 }, givenOnTheServer: 80 });
  const other = await issue(41);
  assert.equal(other.status, 417);
  assert.equal(other.givenOnTheServer, 80);
  server.close();
});
JS
node try.js
