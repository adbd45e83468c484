"""The environments that functions are measured in: what is deployed, and none of the tools of development.

Each is a virtual environment of links to packages: `deployed` has those of function/requirements.txt, `framework` those
that the framework and the official SDK require. So nothing is imported because somebody else needs it: httpx imports
rich where a developer has it, and uvicorn parses with httptools where we have it. certifi is a copy, whose bundle has
one authority more: the one that signed the stand-in for OMS.
"""

import compileall
import datetime as dt
import importlib.metadata
import ipaddress
import re
import shutil
import sysconfig
import venv
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from functions import Function

REQUIREMENTS = Path(__file__).parents[2] / "function" / "requirements.txt"
FRAMEWORK = ("functions-framework", "huaweicloudsdkoms")
VALID = dt.timedelta(days=1)


def make_environments(home: Path, functions: Iterable[Function]) -> None:
    """Make both environments below `home`, copy the functions beside them, and compile all."""
    _make(home / "deployed", pinned(REQUIREMENTS.read_text()))
    _make(home / "framework", FRAMEWORK)
    for function in functions:
        shutil.copytree(function.source, home / function.name, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(home / function.name, quiet=2)


def _make(folder: Path, names: Iterable[str]) -> None:
    venv.EnvBuilder(symlinks=True).create(folder)
    paths = sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)})
    packages = Path(paths)
    for name in closure(names):
        _link(name, packages)
    (packages / "certifi").unlink()
    shutil.copytree(
        Path(importlib.metadata.distribution("certifi").locate_file("certifi").__str__()), packages / "certifi"
    )
    for package in packages.iterdir():
        compileall.compile_dir(package, quiet=2)


def pinned(requirements: str) -> list[str]:
    """The names of a requirements file."""
    return re.findall(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", requirements)


def closure(names: Iterable[str]) -> set[str]:
    """These distributions and all that they require, as far as they are installed here; extras are left out."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name in found:
            continue
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system or Python
        found.add(name)
        left += [re.split(r"[^A-Za-z0-9._-]", one)[0] for one in requires if "extra ==" not in one]
    return found


def _link(name: str, packages: Path) -> None:
    """Link the packages and modules of a distribution; scripts are left out."""
    distribution = importlib.metadata.distribution(name)
    for part in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
        if not (packages / part).exists():
            (packages / part).symlink_to(str(distribution.locate_file(part)))


def make_certificate(home: Path) -> tuple[Path, Path]:
    """Certificate and key for 127.0.0.1; the environments' certifi trusts their authority from now on."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("Bench authority", "Bench authority", authority_key, authority_key, [])
    usage = [x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])]
    leaf = _certificate("127.0.0.1", "Bench authority", key, authority_key, usage)
    for bundle in home.glob("*/lib/python*/site-packages/certifi/cacert.pem"):
        with bundle.open("ab") as file:
            file.write(b"\n" + authority.public_bytes(serialization.Encoding.PEM))
    encoded = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (home / "certificate.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    (home / "key.pem").write_bytes(key.private_bytes(*encoded))
    return home / "certificate.pem", home / "key.pem"


def _certificate(
    subject: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    extensions: list[x509.SubjectAlternativeName],
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    certifies = subject == issuer
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID)
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=certifies, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=certifies,
                crl_sign=certifies,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
