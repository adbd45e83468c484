"""What all requests to OMS about a project have in common. No I/O here."""

from restarter.http.call import Call


def project_call(  # noqa: PLR0913  # the parts of a request
    method: str,
    origin: str,
    project_id: str,
    path: str,
    operation: str,
    *,
    query: tuple[tuple[str, str], ...] = (),
    content: bytes = b"",
) -> Call:
    """The request for `/v2/{project_id}/{path}`, whose ids were checked when read. `content`: JSON or empty."""
    content_type = "application/json;charset=utf-8" if content else "application/json"
    headers = {"Content-Type": content_type, "X-Project-Id": project_id}
    return Call(method, origin, f"/v2/{project_id}/{path}", query, headers, content, operation)
