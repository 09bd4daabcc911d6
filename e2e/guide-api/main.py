"""The API of the guide, with the guide's own mistakes: what Observed must notice.

Everything between the two lines of equals signs is what the guide says, to the letter. The rest is what it takes to run it.
"""

import os
import socket
import time

from fastapi import FastAPI
from prometheus_client import Counter, Histogram, generate_latest

app = FastAPI()


class Dependency:
    """Asks a server over TCP and waits for its answer, as a client without a timeout does."""

    def __init__(self, address):
        self.address = address.split(":")

    def ask(self):
        with socket.create_connection((self.address[0], int(self.address[1]))) as connection:
            if not connection.recv(1):
                raise ConnectionError("it hung up")

    def execute(self, statement):
        self.ask()

    def ping(self):
        self.ask()


db = redis = Dependency(os.environ["DEPENDENCY"])

# ======================================================================================================================

REQUEST_COUNT = Counter(
    'http_requests_total',
    'Total HTTP requests',
    ['method', 'endpoint', 'status']
)

REQUEST_TIME = Histogram(
    'http_request_duration_seconds',
    'HTTP request duration',
    ['method', 'endpoint']
)

TOKEN_USAGE = Counter(
    'tokens_used_total',
    'Total tokens used'
)

@app.middleware("http")
async def track_metrics(request, call_next):
    start = time.time()
    response = await call_next(request)
    duration = time.time() - start

    REQUEST_COUNT.labels(
        method=request.method,
        endpoint=request.url.path,
        status=response.status_code
    ).inc()

    REQUEST_TIME.labels(
        method=request.method,
        endpoint=request.url.path
    ).observe(duration)

    return response

@app.get("/metrics")
async def metrics():
    return generate_latest()

@app.get("/health")
async def health():
    """Endpoint for health checks."""
    return {"status": "healthy"}

@app.get("/ready")
async def readiness():
    """Check if service is ready to handle requests."""
    # Check database
    try:
        db.execute("SELECT 1")
    except Exception:
        return {"status": "not_ready"}, 503

    # Check Redis
    try:
        redis.ping()
    except Exception:
        return {"status": "not_ready"}, 503

    return {"status": "ready"}

# ======================================================================================================================
