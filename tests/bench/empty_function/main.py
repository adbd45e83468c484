"""An empty function: takes the body of a request and answers 204."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response


@functions_framework.aio.http
async def restart(request: Request) -> Response:
    """Take the body and answer."""
    await request.body()
    return Response(status_code=204)
