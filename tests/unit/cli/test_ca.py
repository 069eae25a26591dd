"""`farspan ca`: what it writes, what it refuses to write over, and what it prints."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509

from farspan.certificates import Issued, zone_of
from farspan.cli import main
from farspan.cli.ca import CaError, ensure_certificates
from farspan.cli.deployment import prepare
from farspan.config import Config

REGIONS = ("us-east-1", "us-west-2")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data directory with a configuration in DNS mode."""
    prepare(tmp_path, REGIONS, 4566, auth=False, zone="amazonaws.com")
    return tmp_path


def ca(*words: str, data: Path) -> tuple[int, str]:
    """Run `farspan ca` and return its exit code and all that it said."""
    done = CliRunner().invoke(main, ["ca", *words, "--data", str(data)])
    return done.exit_code, done.output


def names_in(path: Path) -> list[str]:
    """Return the host names of a certificate."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)


def test_init_makes_a_ca_and_a_certificate_for_each_node(data: Path) -> None:
    """Every node serves every name: endpoints' and each Region's services'."""
    code, said = ca("init", data=data)
    names = names_in(data / "tls" / "us-east-1.pem")

    assert code == 0
    assert "PRIVATE" not in said
    assert names == names_in(data / "tls" / "edge.pem")
    assert {
        "*.veo.endpoint.events.amazonaws.com",
        "events.us-east-1.amazonaws.com",
        "sqs.us-west-2.amazonaws.com",
        "logs.us-west-2.amazonaws.com",
        "sts.us-east-1.amazonaws.com",
        "sts.amazonaws.com",
        "iam.amazonaws.com",
        "route53.amazonaws.com",
    } <= set(names)
    assert not [name for name in names if name.startswith("s3.") or name == "*.amazonaws.com"]


def test_what_it_writes_is_its_owners(data: Path) -> None:
    """Nobody else reads a key, or anything beside it."""
    ca("init", data=data)
    place = data / "tls"

    assert {path.name for path in place.iterdir()} == {
        f"{name}.{kind}" for name in ("ca", "edge", *REGIONS) for kind in ("pem", "key")
    }
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {0o600}


def test_init_overwrites_nothing(data: Path) -> None:
    """Whoever trusts the CA would be left with one that nobody uses."""
    ca("init", data=data)
    before = {path: path.read_bytes() for path in (data / "tls").iterdir()}
    code, said = ca("init", data=data)

    assert code == 1
    assert "is there already" in said
    assert "ca renew" in said
    assert before == {path: path.read_bytes() for path in (data / "tls").iterdir()}


def test_renew_makes_new_certificates_by_the_same_ca(data: Path) -> None:
    """Clients need to learn nothing."""
    ca("init", data=data)
    place = data / "tls"
    authority, certificate = (place / "ca.pem").read_bytes(), (place / "edge.pem").read_bytes()
    code, _ = ca("renew", data=data)

    assert code == 0
    assert authority == (place / "ca.pem").read_bytes()
    assert certificate != (place / "edge.pem").read_bytes()


def test_export_prints_the_certificate_and_no_key(data: Path) -> None:
    """What AWS_CA_BUNDLE names."""
    ca("init", data=data)
    code, said = ca("export", data=data)

    assert code == 0
    assert said == (data / "tls" / "ca.pem").read_text()
    assert "PRIVATE" not in said


def test_another_directory_and_another_zone(data: Path) -> None:
    """The CA's key may be kept apart from the nodes."""
    place = data / "vault"
    code, _ = ca("init", "--dir", str(place), "--zone", "aws.shop.internal", data=data)
    issued = Issued((place / "ca.pem").read_bytes(), (place / "ca.key").read_bytes())

    assert code == 0
    assert zone_of(issued) == "aws.shop.internal"
    assert "events.us-east-1.aws.shop.internal" in names_in(place / "us-east-1.pem")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("renew",), "`farspan ca init` makes a CA"),
        (("export",), "`farspan ca init` makes one"),
        (("init", "--zone", "Not A Zone"), "is no domain"),
        (("init", "--dir", "/proc/none"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(data: Path, words: tuple[str, ...], said: str) -> None:
    """With what to do, and exit code 1."""
    code, output = ca(*words, data=data)

    assert code == 1
    assert said in output
    assert "Traceback" not in output


def test_without_a_zone_there_is_no_ca(tmp_path: Path) -> None:
    """A CA for every name there is would be a danger."""
    prepare(tmp_path, REGIONS, 4566, auth=False)
    code, said = ca("init", data=tmp_path)

    assert (code, "--zone" in said) == (1, True)


def test_up_makes_what_is_missing_and_renews_the_rest(data: Path) -> None:
    """Another Region needs other names, and nobody should have to think of it."""
    place = data / "tls"
    ensure_certificates(prepare(data, REGIONS, 4566, auth=False), place)
    authority = (place / "ca.pem").read_bytes()
    ensure_certificates(prepare(data, ("eu-west-1", "us-west-2"), 4566, auth=False), place)

    assert authority == (place / "ca.pem").read_bytes()
    assert "sqs.eu-west-1.amazonaws.com" in names_in(place / "us-west-2.pem")


def test_up_leaves_certificates_alone_whose_ca_is_elsewhere(data: Path) -> None:
    """Without the key nothing can be signed, and nothing has to be."""
    place = data / "tls"
    config = prepare(data, REGIONS, 4566, auth=False)
    ensure_certificates(config, place)
    (place / "ca.key").unlink()
    before = (place / "edge.pem").read_bytes()
    ensure_certificates(config, place)

    assert before == (place / "edge.pem").read_bytes()


def test_up_says_that_a_ca_is_for_another_zone(data: Path) -> None:
    """Its certificates would be refused under the new names."""
    place = data / "tls"
    ensure_certificates(prepare(data, REGIONS, 4566, auth=False), place)
    other: Config = prepare(data, REGIONS, 4566, auth=False, zone="aws.shop.internal")

    with pytest.raises(CaError, match=r"for amazonaws\.com, not for aws\.shop\.internal"):
        ensure_certificates(other, place)
