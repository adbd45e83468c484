"""OBS's signature, byte for byte as the official client makes it, and by the rule of the documents."""

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from restarter.http.call import Call
from restarter.ledger.obs_signing import sign
from restarter.model.delivery import AccessKey

obs = pytest.importorskip("obs", reason="esdk-obs-python, the official client, is not installed")

AT = datetime(2115, 10, 15, 7, 20, 9, tzinfo=UTC)
DATE = "Tue, 15 Oct 2115 07:20:09 GMT"
HOST = "bucket.obs.cn-north-4.myhuaweicloud.com"
Seen = list[tuple[str, str, dict[str, str]]]


class Recorder(BaseHTTPRequestHandler):
    """Notes what it is asked, and says yes."""

    protocol_version = "HTTP/1.1"
    seen: Seen

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.send_response(200)
        self.send_header("x-obs-api", "3.0")
        self.send_header("content-length", "0")
        self.end_headers()

    do_HEAD = do_GET = do_PUT = answer  # noqa: N815  # the same

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str | None], tuple[Any, Seen]]]:
    """The SDK for a security token, and what it will have asked of a server here, where every name leads."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *rest, **named: resolve("127.0.0.1", *rest, **named))
    handler = type("Handler", (Recorder,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    clients = []

    def client(token: str | None) -> tuple[Any, Seen]:
        made = obs.ObsClient(
            access_key_id="AKEXAMPLE0000000001",
            secret_access_key="SKEXAMPLE00000000000000000000000000000001",
            security_token=token,
            server=f"http://obs.cn-north-4.myhuaweicloud.com:{server.server_port}",
            max_retry_count=0,
            is_signature_negotiation=False,
            signature="obs",
        )
        clients.append(made)
        return made, handler.seen  # type: ignore[attr-defined]

    yield client
    for one in clients:
        one.close()
    server.shutdown()
    server.server_close()
    thread.join()


def key(token: str | None) -> AccessKey:
    return AccessKey(
        SecretStr("AKEXAMPLE0000000001"),
        SecretStr("SKEXAMPLE00000000000000000000000000000001"),
        SecretStr(token) if token else None,
    )


@pytest.mark.parametrize("token", [None, "a-security-token"])
@pytest.mark.parametrize("name", ["e/0a1b/1/x", "m/exhausted:0a1b/1/w", "a ~name/with+signs=&%"])
def test_a_write_and_a_read_are_signed_as_the_official_client_signs_them(
    asked: Callable[[str | None], tuple[Any, Seen]], token: str | None, name: str
) -> None:
    client, seen = asked(token)
    dated = {"x-obs-date": DATE}
    assert client.putContent("bucket", name, "text", extensionHeaders=dated | {"x-obs-expires": "8"}).status == 200
    assert client.getObject("bucket", name, loadStreamInMemory=True, extensionHeaders=dated).status == 200
    put, get = [one for one in seen if one[0] != "HEAD"]
    for (method, path, sent), own in ((put, {"x-obs-expires": "8"}), (get, {})):
        given = own | ({"Content-Type": sent["content-type"]} if "content-type" in sent else {})
        signed = sign(Call(method, f"http://{HOST}", path, headers=given), f"/bucket/{name}", key(token), AT)
        assert sent["x-obs-date"] == signed["x-obs-date"] == DATE
        assert sent["authorization"] == signed["Authorization"]
        assert sent.get("x-obs-security-token") == signed.get("x-obs-security-token") == token
        assert (sent["host"].partition(":")[0], signed["Host"]) == (HOST, HOST)


def test_a_signature_is_the_one_computed_by_hand_from_the_documents_rule() -> None:
    """`printf` of the six lines below through `openssl dgst -sha1 -hmac SK -binary | base64`."""
    call = Call("PUT", f"https://{HOST}", "/p/e", headers={"x-obs-expires": "8"}, content=b"text")
    assert sign(call, "/bucket/p/e", AccessKey(SecretStr("AK"), SecretStr("SK")), AT) == {
        "Host": HOST,
        "x-obs-date": DATE,
        "Authorization": "OBS AK:rwVyARK0841HYovt412mgp02W6A=",
    }
