#!/usr/bin/env bash
# asgi-idempotency-header keeps answers by key alone. A key that was used for issuing 40 answers for issuing 400, and
# for receiving 7 on another path: status 201, the receipt of the first act, and nothing was done.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  asgi-idempotency-header==0.2.0 fastapi==0.165.0 starlette==1.10.0 httpx==0.28.1 redis==8.1.0
env/bin/pip list --disable-pip-version-check 2>/dev/null | grep -iE '^(asgi-idempotency-header|fastapi|starlette|httpx) '

cat > try.py <<'PY'
import asyncio

import httpx
from idempotency_header_middleware import IdempotencyHeaderMiddleware
from idempotency_header_middleware.backends import MemoryBackend
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

acts = []


async def act(request):
    acts.append((request.url.path, (await request.json())["count"]))
    return JSONResponse({"receipt": len(acts), "did": acts[-1]}, status_code=201)


routes = [Route(path, act, methods=["POST"]) for path in ("/issue", "/receive")]
app = IdempotencyHeaderMiddleware(Starlette(routes=routes), backend=MemoryBackend(expiry=None))


async def main():
    key = {"Idempotency-Key": "b1f0f3de-5f0e-4a55-9f6a-0d1f6f0a7c11"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://node") as client:
        for path, count in (("/issue", 40), ("/issue", 400), ("/receive", 7)):
            answer = await client.post(path, json={"count": count}, headers=key)
            print(f"POST {path} {count}: {answer.status_code} {answer.text}")
            assert answer.status_code == 201 and answer.json() == {"receipt": 1, "did": ["/issue", 40]}
    print("acts done:", acts)
    assert acts == [("/issue", 40)]


asyncio.run(main())
PY
env/bin/python try.py
