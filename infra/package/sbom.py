"""What is in the package, as CycloneDX. No I/O here but reading the package and its parts' own descriptions."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import Distribution
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name

# Of the earliest time that the zip can hold: the bill, too, is the same from the same sources.
EPOCH = datetime(1980, 1, 1, tzinfo=UTC)


def bill(name: str, version: str, package: Path, parts: Iterable[Distribution]) -> str:
    """A document of version 1.6: the package, with its hash, and each part of it."""
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    whole = Component(
        name=name,
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=name,
        licenses=[LicenseExpression("Apache-2.0")],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )
    bom = Bom(components=[component(part) for part in parts], serial_number=uuid5(NAMESPACE_URL, digest))
    bom.metadata.component, bom.metadata.timestamp = whole, EPOCH
    bom.register_dependency(whole, list(bom.components))
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def component(part: Distribution) -> Component:
    """One installed distribution."""
    purl = PackageURL("pypi", name=canonicalize_name(part.name), version=part.version)
    return Component(
        name=part.name,
        version=part.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        licenses=licenses(part),
    )


def licenses(part: Distribution) -> list[DisjunctiveLicense | LicenseExpression]:
    """What it says of itself: an expression, or names."""
    said = part.metadata.json
    if expression := said.get("license_expression"):
        return [LicenseExpression(str(expression))]
    names = [line.split(" :: ")[-1] for line in said.get("classifier", []) if line.startswith("License ::")]
    stated = str(said.get("license", ""))
    if not names and stated and "\n" not in stated:
        names = [stated]
    return [DisjunctiveLicense(name=name) for name in names]
