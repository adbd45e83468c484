"""httpx's own transport in the place of ours, for tests in which pytest-httpx answers."""

import httpx


class HttpxTransport(httpx.AsyncHTTPTransport):
    """Sends to whole addresses, which pytest-httpx compares; the function leaves the path to the extension `target`."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to the address that its target makes of its URL."""
        if target := request.extensions.get("target"):
            request.url = request.url.copy_with(raw_path=target)
        return await super().handle_async_request(request)
