"""The sections of DNS mode: what they take, and in which words they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from farspan.config import CONFIG_FILE_NAME, Config, ConfigError, NodeConfig, load_config
from farspan.config import render_config as render
from farspan.dns_config import DnsConfig, TlsConfig

NODE = '[[nodes]]\nname = "a"\nurl = "http://10.0.0.1:4566"\nregion = "us-east-1"\n'


def load(directory: Path, text: str) -> Config:
    """Write a configuration and read it."""
    path = directory / CONFIG_FILE_NAME
    path.write_text(text)
    return load_config(path, {})


def test_what_is_rendered_reads_back(tmp_path: Path) -> None:
    """Both sections, and the nodes' addresses."""
    config = Config(
        nodes=(
            NodeConfig(name="a", url="http://a:1", region="us-east-1", addresses=("10.0.0.1",)),
            NodeConfig(name="b", url="http://10.0.0.2:1", addresses=("10.0.0.3", "fd00::1")),
        ),
        cluster_secret="s",
        dns=DnsConfig(zone="aws.shop.internal", listen="[::1]:53", answers_per_second=7.5),
        tls=TlsConfig(directory='t"l\\s\x7f', port=8443),
    )

    assert load(tmp_path, render(config)) == config


def test_both_are_off_unless_they_are_there(tmp_path: Path) -> None:
    """A name server is a thing to attack."""
    config = load(tmp_path, NODE)

    assert (config.dns, config.tls) == (None, None)


def test_a_node_is_at_its_urls_address_unless_told(tmp_path: Path) -> None:
    """Only a name in the URL says nothing."""
    assert NodeConfig(name="a", url="http://[fd00::7]:1").reached_at == ("fd00::7",)
    assert NodeConfig(name="a", url="http://a.example:1").reached_at == ()
    told = NodeConfig(name="a", url="http://10.0.0.1:1", addresses=("10.0.0.2",))
    assert told.reached_at == ("10.0.0.2",)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[dns]\nlisten = '127.0.0.1:53'", "zone"),
        ("[dns]\nzone = 'com'", "dns.zone `com` is no domain"),
        ("[dns]\nzone = 'AMAZONAWS.com'", "is no domain"),
        ("[dns]\nzone = 'amazonaws.com.'", "is no domain"),
        (f"[dns]\nzone = '{'a.' * 100}com'", "is no domain"),
        ("[dns]\nzone = 'a.b'\nlisten = '127.0.0.1'", "is no address and port"),
        ("[dns]\nzone = 'a.b'\nlisten = 'localhost:53'", "is no address and port"),
        ("[dns]\nzone = 'a.b'\nlisten = '127.0.0.1:65536'", "is no address and port"),
        ("[dns]\nzone = 'a.b'\nlisten = '::1:53'", "is no address and port"),
        ("[dns]\nzone = 'a.b'\nanswers_per_second = 0", "answers_per_second"),
        ("[dns]\nzone = 'a.b'\nanswers_per_second = nan", "answers_per_second"),
        ("[dns]\nzone = 'a.b'\n[[nodes]]\nname = 'b'\nurl = 'http://b:1'", "where node b is"),
        ("[[nodes]]\nname = 'b'\nurl = 'http://b:1'\naddresses = ['b']", "is no IP address"),
        ("[tls]\nport = 0", "tls.port"),
        ("[tls]\nport = 65536", "tls.port"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, named: str) -> None:
    """The file, the setting, and what it takes."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)

    assert named in str(caught.value)
    assert CONFIG_FILE_NAME in str(caught.value)
