#!/usr/bin/env bash
# An idempotency key that a request interceptor draws is another key at each retry of axios-retry: the interceptors of
# an axios instance run again for each attempt. The same library also sends a POST again when the line broke after the
# server had read it, so a server that keeps its promise about keys still counts the act once for each attempt.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund axios@1.21.1 axios-retry@4.5.0
npm ls --depth=0 | tail -n +2

cat > try.js <<'JS'
import assert from 'node:assert/strict';
import http from 'node:http';
import axios from 'axios';
import axiosRetry from 'axios-retry';

// A server as the draft of the key header wants it: one act for each key. Its answer is lost twice on the way.
async function attempts(giveKey) {
  const acts = new Map();
  let requests = 0;
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      const key = request.headers['idempotency-key'];
      acts.set(key, (acts.get(key) ?? 0) + 1);
      requests += 1;
      if (requests <= 2) request.socket.resetAndDestroy();
      else response.end('recorded');
    });
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const client = axios.create({ baseURL: `http://127.0.0.1:${server.address().port}` });
  axiosRetry(client, { retries: 3 });
  const answer = await giveKey(client);
  server.close();
  return { status: answer.status, requests, keys: acts.size };
}

const body = { act: 'issue', item: 'water', count: 40 };
const drawnInAnInterceptor = await attempts((client) => {
  client.interceptors.request.use((config) => {
    config.headers['Idempotency-Key'] = crypto.randomUUID();
    return config;
  });
  return client.post('/', body);
});
const drawnByTheCaller = await attempts((client) =>
  client.post('/', body, { headers: { 'Idempotency-Key': crypto.randomUUID() } }));

console.log('one call of post(), key drawn in an interceptor:', drawnInAnInterceptor);
console.log('one call of post(), key drawn by the caller:    ', drawnByTheCaller);
assert.deepEqual(drawnInAnInterceptor, { status: 200, requests: 3, keys: 3 });
assert.deepEqual(drawnByTheCaller, { status: 200, requests: 3, keys: 1 });
JS
node try.js
