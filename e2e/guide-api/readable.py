"""The API of the guide with one mistake less: its page is text and not a JSON string, so that Prometheus can read it."""

from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from main import app

app.router.routes = [route for route in app.router.routes if getattr(route, "path", "") != "/metrics"]


@app.get("/metrics")
async def metrics():
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
