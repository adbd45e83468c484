"""A shared ledger at each kind of address that RESTART_LEDGER takes, in real servers."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from redis_server import MASTER, RedisServer, behind_tls, cluster, watched_by_sentinel
from restarter.ledger import Claim, EventKey, LedgerError, LedgerKeys, open_ledger
from restarter.settings.ledger_address import parse_ledger_address

NOBODY_FAILS_MS = 15_000
PASSWORD = "p@ss/word:?#%"
ENCODED = quote(PASSWORD, safe="")
USER = "restarter"
# What the user of the function must be allowed; README says the same.
RIGHTS = ["~oms-task-restarter:*", "-@all", "+eval", "+evalsha", "+get", "+set", "+del", "+expire", "+time"]
RIGHTS += ["+pttl", "+zadd", "+zrem", "+zrangebyscore", "+zremrangebyscore"]
SELECTS = ["+select"]  # another database than 0
IN_A_CLUSTER = ["+cluster|slots", "+command"]


def allow(server: RedisServer, *rights: str) -> None:
    """Make a user that may do so much, and let nobody else in."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "resetchannels", *RIGHTS, *rights)


def keep(address: str, events: int = 30) -> None:
    """Claim, settle, count and release: all that the function does, for keys of every slot."""

    async def steps() -> None:
        ledger = open_ledger(parse_ledger_address(address), time.time)
        for number in range(events):
            key, keys = EventKey(f"e{number}", "t"), LedgerKeys(f"e{number}", f"t{number}")
            first = await ledger.claim(key, 10)
            assert first.state is Claim.OURS
            assert (await ledger.claim(key, 10)).state is Claim.HELD
            history = await ledger.history(keys, 60)
            assert history.restarts == ()
            assert await ledger.reserve(keys, history, 60, first.token)
            await ledger.confirm(keys, first.token)
            assert len((await ledger.history(LedgerKeys("other", keys.task), 60)).restarts) == 1
            await ledger.unreserve(keys, first.token)
            assert await ledger.mark(keys.task, "e", 60)
            await ledger.release(key, first.token)
            second = await ledger.claim(key, 10)
            assert second.state is Claim.OURS
            await ledger.settle(key, second.token)
            assert (await ledger.claim(key, 10)).state is Claim.SETTLED
        await ledger.close()

    asyncio.run(steps())


def fault(address: str) -> str:
    """Why the ledger does not answer."""

    async def ask() -> None:
        ledger = open_ledger(parse_ledger_address(address), time.time)
        try:
            await ledger.claim(EventKey("e", "t"), 1)
        finally:
            await ledger.close()

    with pytest.raises(LedgerError) as raised:
        asyncio.run(ask())
    return str(raised.value)


def test_a_password_and_a_user_with_no_more_rights_than_these_are_enough() -> None:
    with RedisServer(password="other") as server:
        allow(server, *SELECTS)
        keep(f"redis://{USER}:{ENCODED}@127.0.0.1:{server.port}/3")
        with server.client() as client:
            client.select(3)
            assert len(client.keys("oms-task-restarter:*")) == client.dbsize() > 0
        assert fault(f"redis://{USER}:wrong@127.0.0.1:{server.port}") == "AuthenticationError"
        assert fault(f"redis://127.0.0.1:{server.port}") == "AuthenticationError"
        keep(f"redis://:other@127.0.0.1:{server.port}")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that no public authority knows, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    folder = tmp_path_factory.mktemp("tls")
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    return folder / "ca.pem", folder / "key.pem"


def test_tls_with_an_authority_of_ones_own_is_trusted_only_where_it_is_named(certificate: tuple[Path, Path]) -> None:
    with RedisServer(password="other") as server, behind_tls(server, *certificate) as port:
        trusted = f"ssl_ca_certs={certificate[0]}"
        keep(f"rediss://:other@127.0.0.1:{port}/0?{trusted}")
        assert fault(f"rediss://:other@127.0.0.1:{port}/0") == "ConnectionError"
        assert fault(f"rediss://:other@localhost:{port}/0?{trusted}") == "ConnectionError"
        server.empty()
        keep(f"rediss://:other@localhost:{port}/0?{trusted}&ssl_check_hostname=false")


def test_sentinel_says_where_the_master_is() -> None:
    with watched_by_sentinel("other") as (sentinel, master):
        allow(master)
        options = "sentinel_password=other"
        keep(f"redis+sentinel://{USER}:{ENCODED}@127.0.0.1:9,{sentinel}/{MASTER}?{options}")
        assert fault(f"redis+sentinel://:other@{sentinel}/unknown?{options}") == "MasterNotFoundError"
        assert fault(f"redis+sentinel://:other@{sentinel}/{MASTER}") == "MasterNotFoundError"


def test_a_cluster_keeps_the_keys_of_every_slot() -> None:
    with cluster(NOBODY_FAILS_MS) as (nodes, masters):
        for master in masters:
            allow(master, *IN_A_CLUSTER)
        keep(f"redis+cluster://{USER}:{ENCODED}@{nodes}")
        for master in masters:
            with master.client() as client:
                assert client.dbsize() > 0


def connections(server: RedisServer) -> set[str]:
    """The ids of the connections from a ledger."""
    with server.client() as client:
        own = client.client_id()
        return {each["id"] for each in client.client_list(_type="normal") if int(each["id"]) != own}


def thaw(address: str, monkeypatch: pytest.MonkeyPatch, server: RedisServer, seconds: float) -> set[str]:
    """Use a ledger, freeze it, and use it again: the connections that it used both times."""

    async def steps() -> set[str]:
        ledger = open_ledger(parse_ledger_address(address), time.time)
        assert (await ledger.claim(EventKey("before", "t"), 10)).state is Claim.OURS
        before = connections(server)
        assert before
        later = time.time() + seconds
        monkeypatch.setattr("restarter.ledger.redis.time", SimpleNamespace(time=lambda: later))
        claims = [ledger.claim(EventKey(f"e{number}", "t"), 10) for number in range(20)]
        assert {claimed.state for claimed in await asyncio.gather(*claims)} == {Claim.OURS}
        after = connections(server)
        await ledger.close()
        monkeypatch.undo()
        return before & after

    return asyncio.run(steps())


def test_after_ten_frozen_minutes_no_connection_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network may have dropped them without a word; a command over one of them would wait for its timeout."""
    with RedisServer(password="other") as server:
        address = f"redis://:other@127.0.0.1:{server.port}"
        assert thaw(address, monkeypatch, server, 600) == set()
        server.empty()
        assert thaw(address, monkeypatch, server, -600) == set()
        server.empty()
        assert thaw(address, monkeypatch, server, 30) != set()


def test_nor_with_sentinel_or_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    with watched_by_sentinel("other") as (sentinel, master):
        address = f"redis+sentinel://:other@{sentinel}/{MASTER}?sentinel_password=other"
        others = connections(master)  # of the replica and of Sentinel
        assert thaw(address, monkeypatch, master, 600) <= others
    with cluster(NOBODY_FAILS_MS) as (nodes, masters):
        others = connections(masters[1])  # of the test
        assert thaw(f"redis+cluster://{nodes}", monkeypatch, masters[1], 600) <= others
