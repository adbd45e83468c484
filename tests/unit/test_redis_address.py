"""The addresses of Redis that RESTART_LEDGER takes, and what is said of others: never a part of them."""

from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import Secret, ValidationError

from example import settings
from restarter.settings.redis_address import RedisAddress, Topology, parse_redis_address

SINGLE, SENTINEL, CLUSTER = Topology.SINGLE, Topology.SENTINEL, Topology.CLUSTER
TAKEN = {
    "redis://localhost": RedisAddress(SINGLE, (("localhost", 6379),), tls=False),
    "redis://redis.example.com:6380/7": RedisAddress(SINGLE, (("redis.example.com", 6380),), tls=False, database=7),
    "redis://[::1]:6380/": RedisAddress(SINGLE, (("::1", 6380),), tls=False),
    "rediss://:p%40ss@h": RedisAddress(SINGLE, (("h", 6379),), tls=True, user=Secret({"password": "p@ss"})),
    "redis://us%3Aer:p%2F@h": RedisAddress(
        SINGLE, (("h", 6379),), tls=False, user=Secret({"username": "us:er", "password": "p/"})
    ),
    "rediss://h?ssl_ca_certs=%2Fca.pem&ssl_check_hostname=false": RedisAddress(
        SINGLE, (("h", 6379),), tls=True, options={"ssl_ca_certs": "/ca.pem", "ssl_check_hostname": "false"}
    ),
    "redis+sentinel://a,b:26380/the-master": RedisAddress(
        SENTINEL, (("a", 26379), ("b", 26380)), tls=False, master="the-master"
    ),
    "rediss+sentinel://u:p@a/m/2?sentinel_username=s&sentinel_password=q": RedisAddress(
        SENTINEL,
        (("a", 26379),),
        tls=True,
        user=Secret({"username": "u", "password": "p"}),
        master="m",
        database=2,
        sentinel_user=Secret({"username": "s", "password": "q"}),
    ),
    "redis+cluster://:p@a:7000,b": RedisAddress(
        CLUSTER, (("a", 7000), ("b", 6379)), tls=False, user=Secret({"password": "p"})
    ),
    "rediss+cluster://a/0": RedisAddress(CLUSTER, (("a", 6379),), tls=True),
}


@pytest.mark.parametrize("text", TAKEN)
def test_an_address_is_taken_apart(text: str) -> None:
    assert parse_redis_address(text) == TAKEN[text]
    if "ssl_ca_certs" not in text:
        assert settings(restart_ledger=text).restart_ledger == TAKEN[text]


NOT_ONE = "is not an address of Redis"
OPTIONS = "has an option that is unknown here or repeated; there are "
TLS_OPTIONS = "ssl_ca_certs, ssl_certfile, ssl_keyfile, ssl_check_hostname"
FAULTS = {
    "redis://": NOT_ONE,
    "redis:///0": NOT_ONE,
    "redis://[::1/0": NOT_ONE,
    "redis://the-secret@host name": NOT_ONE,
    "redis://host:0": NOT_ONE,
    "redis://host:65536": NOT_ONE,
    "redis://the#secret@host": NOT_ONE,
    "redis+sentinel://a,,b/m": NOT_ONE,
    "redis://a,b": "names several servers: say redis+sentinel:// or redis+cluster://",
    "redis+sentinel://the-secret@a": "names no master: redis+sentinel://host:26379/master",
    "redis://h/the-secret": "must end with the number of a database, or nothing",
    "redis://h/1/2": "must end with the number of a database, or nothing",
    "redis+cluster://h/1": "names a database: a cluster has number 0 only",
    "redis://:a?the-secret@h": NOT_ONE,
    "redis://h?ssl_ca_certs=/the-secret": f"{OPTIONS}none",
    "rediss://h?the-secret=1": OPTIONS + TLS_OPTIONS,
    "rediss://h?ssl_check_hostname=true&ssl_check_hostname=false": OPTIONS + TLS_OPTIONS,
    "redis+sentinel://h/m?the-secret=1": f"{OPTIONS}sentinel_username, sentinel_password",
    "rediss://h?ssl_check_hostname=the-secret": "ssl_check_hostname must be true or false",
    "rediss://h?ssl_ca_certs=/the-secret": "ssl_ca_certs, ssl_certfile and ssl_keyfile must be readable PEM files",
    "rediss://h?ssl_keyfile=/the-secret": "ssl_ca_certs, ssl_certfile and ssl_keyfile must be readable PEM files",
}


@pytest.mark.parametrize("text", FAULTS)
def test_what_is_wrong_with_an_address_is_said_without_any_part_of_it(text: str) -> None:
    with pytest.raises(ValidationError) as raised:
        settings(restart_ledger=text)
    (error,) = raised.value.errors(include_input=False)
    assert error["msg"] == FAULTS[text]


def test_a_file_that_is_no_certificate_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(ValidationError, match="must be readable PEM files"):
        settings(restart_ledger=f"rediss://h?ssl_ca_certs={tmp_path / 'ca.pem'}")


def test_users_and_passwords_stay_out_of_repr() -> None:
    address = parse_redis_address(
        "redis+sentinel://the-user:the-secret@h/m?sentinel_username=the-other&sentinel_password=the-secret"
    )
    assert "the-" not in f"{address} {address!r} {settings(restart_ledger=address)!r} {asdict(address)}"
