"""Configuration: what is written is read again, and what is wrong is said in a sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farspan.config import (
    CONFIG_FILE_NAME,
    Config,
    ConfigError,
    Credential,
    HealthConfig,
    NodeConfig,
    QuotaConfig,
    ReplaysConfig,
    ReplicationConfig,
    SchedulesConfig,
    StoreConfig,
    TargetsConfig,
    load_config,
    render_config,
)

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = Config(
    nodes=(
        NodeConfig(name="edge", url="http://127.0.0.1:4566"),
        NodeConfig(name="us-east-1", url="http://127.0.0.1:4567", region="us-east-1"),
        NodeConfig(name="b_2.x", url="https://[::1]:4568/", region="us-gov-west-1"),
        NodeConfig(name="c", url="http://c.example", region="us-east-1"),
    ),
    credentials=(
        Credential(),
        Credential(access_key_id="AKIA", secret_access_key="s/+=", account_id="123456789012"),
    ),
    auth=False,
    cluster_secret="hush",
    health=HealthConfig(time_scale=20.0),
    store=StoreConfig(retention_hours=0.5),
    schedules=SchedulesConfig(catch_up_seconds=600.0),
    replays=ReplaysConfig(events_per_second=7),
    replication=ReplicationConfig(
        mode="sync_or_async",
        endpoints={
            "orders": "sync",
            "arn:aws:events:us-east-1:000000000000:endpoint/bills": "async",
        },
        backlog_share=0.25,
        compare_seconds=5.0,
    ),
    quotas=QuotaConfig(event_buses=7, replays=0),
)


def write(directory: Path, text: str) -> Path:
    """Write a configuration and return where it is."""
    path = directory / CONFIG_FILE_NAME
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_rendered_reads_back(tmp_path: Path) -> None:
    """Every setting survives being written and read."""
    assert load_config(write(tmp_path, render_config(CONFIG)), {}) == CONFIG


texts = st.text(st.characters(exclude_categories=["Cs"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(texts, texts, texts)
def test_any_text_reads_back(tmp_path: Path, secret: str, key_id: str, key: str) -> None:
    """Quotes, line breaks and control characters in secrets do not break the file."""
    config = Config(
        credentials=(Credential(access_key_id=key_id, secret_access_key=key),),
        cluster_secret=secret,
    )

    assert load_config(write(tmp_path, render_config(config)), {}) == config


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    """What a file does not say has the documented default."""
    assert load_config(write(tmp_path, ""), {}) == Config()


def test_the_file_is_utf_8_everywhere(tmp_path: Path) -> None:
    """Text beyond ASCII is read the same whatever the machine's locale."""
    path = write(tmp_path, 'cluster_secret = "grüß"')

    assert load_config(path, {}).cluster_secret == "grüß"


def test_regions_and_nodes_are_found() -> None:
    """Regions come once each in the order of the file; nodes are found by Region and by name."""
    assert CONFIG.regions == ("us-east-1", "us-gov-west-1")
    assert CONFIG.node_of("us-east-1") == CONFIG.nodes[1]
    assert CONFIG.node_of("eu-west-1") is None
    assert CONFIG.node_named("edge") == CONFIG.nodes[0]
    assert CONFIG.node_named("none") is None


@pytest.mark.parametrize(
    ("environment", "auth", "time_scale"),
    [
        ({}, True, 5.0),
        ({"FARSPAN_AUTH": "off"}, False, 5.0),
        ({"FARSPAN_AUTH": "on"}, True, 5.0),
        ({"FARSPAN_TIME_SCALE": "20"}, True, 20.0),
        ({"FARSPAN_TIME_SCALE": "0.5", "FARSPAN_AUTH": "off", "OTHER": "x"}, False, 0.5),
    ],
    ids=str,
)
def test_the_environment_overrides(
    tmp_path: Path, environment: dict[str, str], auth: bool, time_scale: float
) -> None:
    """The environment's word counts above the file's."""
    config = load_config(write(tmp_path, "[health]\ntime_scale = 5"), environment)

    assert (config.auth, config.health.time_scale) == (auth, time_scale)


NODE = '[[nodes]]\nname = "a"\nurl = "http://a"\n'
BAD = {
    "no TOML": ("auth = ", "not valid TOML"),
    "an unknown setting": ("autth = true", "autth"),
    "an unknown setting in a table": ("[health]\nscale = 1", "scale"),
    "a text for a switch": ('auth = "off"', "auth"),
    "a text for a number": ('[health]\ntime_scale = "x"', "health.time_scale"),
    "a number for a table": ("health = 3", "health"),
    "a time scale of 0": ("[health]\ntime_scale = 0", "health.time_scale"),
    "a negative time scale": ("[health]\ntime_scale = -1", "health.time_scale"),
    "a time scale that is none": ("[health]\ntime_scale = nan", "health.time_scale"),
    "an endless time scale": ("[health]\ntime_scale = inf", "health.time_scale"),
    "a negative retention": ("[store]\nretention_hours = -1", "store.retention_hours"),
    "no time to catch up": (
        "[schedules]\ncatch_up_seconds = 0",
        "schedules.catch_up_seconds must be a number from 10 to 86400",
    ),
    "too long to catch up": (
        "[schedules]\ncatch_up_seconds = 86401",
        "schedules.catch_up_seconds",
    ),
    "a catch-up that is none": (
        "[schedules]\ncatch_up_seconds = nan",
        "schedules.catch_up_seconds",
    ),
    "a replay that stands": ("[replays]\nevents_per_second = 0", "replays.events_per_second"),
    "a retention that is none": ("[store]\nretention_hours = nan", "store.retention_hours"),
    "a mode that is none": ('[replication]\nmode = "fast"', "replication.mode must be one of"),
    "an endpoint's mode that is none": (
        '[replication.endpoints]\norders = "fast"',
        "replication.endpoints.orders must be one of async, sync, sync_or_async, not `fast`",
    ),
    "an endpoint that is none": (
        '[replication.endpoints]\n"a/b" = "sync"',
        "`a/b` in replication.endpoints is neither an endpoint's name nor its ARN",
    ),
    "another resource's ARN": (
        '[replication.endpoints]\n"arn:aws:events:us-east-1:000000000000:rule/r" = "sync"',
        "replication.endpoints",
    ),
    "no share for a backlog": ("[replication]\nbacklog_share = 0", "replication.backlog_share"),
    "more than all for a backlog": (
        "[replication]\nbacklog_share = 1.1",
        "replication.backlog_share",
    ),
    "comparing without an end": (
        "[replication]\ncompare_seconds = 0",
        "replication.compare_seconds must be a number of 0.1 or more",
    ),
    "a node without a name": ('[[nodes]]\nurl = "http://a"', "name"),
    "a node without a URL": ('[[nodes]]\nname = "a"', "url"),
    "a node named as a path": (NODE.replace('"a"', '"../a"'), "`../a`"),
    "a node with an empty name": (NODE.replace('"a"', '""'), "name"),
    "two nodes of one name": (f'cluster_secret = "x"\n{NODE}{NODE}', "name `a`"),
    "a URL without a scheme": (NODE.replace("http://a", "localhost:4566"), "`localhost:4566`"),
    "a URL without a host": (NODE.replace("http://a", "http://:80"), "`http://:80`"),
    "a URL with a bad port": (NODE.replace("http://a", "http://a:x"), "`http://a:x`"),
    "another scheme": (NODE.replace("http://a", "ftp://a"), "`ftp://a`"),
    "no Region name": (NODE + 'region = "mars"', "`mars`"),
    "several nodes without a secret": (NODE + NODE.replace('"a"', '"b"'), "cluster_secret"),
    "an account of 11 digits": ('[[credentials]]\naccount_id = "12345678901"', "account_id"),
    "an account in other digits": (f'[[credentials]]\naccount_id = "{"٣" * 12}"', "account_id"),
    "an account that is a number": ("[[credentials]]\naccount_id = 123456789012", "account_id"),
}


@pytest.mark.parametrize(("text", "named"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_named(tmp_path: Path, text: str, named: str) -> None:
    """A bad setting is one sentence with the file and the setting in it."""
    path = write(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        load_config(path, {})

    sentence = str(caught.value)

    assert str(path) in sentence
    assert named in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "environment",
    [
        {"FARSPAN_AUTH": "true"},
        {"FARSPAN_AUTH": ""},
        {"FARSPAN_TIME_SCALE": "fast"},
        {"FARSPAN_TIME_SCALE": "-1"},
        {"FARSPAN_TIME_SCALE": "nan"},
    ],
    ids=str,
)
def test_a_bad_environment_is_refused(tmp_path: Path, environment: dict[str, str]) -> None:
    """A misspelt word never switches anything: least of all the signatures off."""
    with pytest.raises(ConfigError, match=r"FARSPAN|time_scale"):
        load_config(write(tmp_path, ""), environment)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    """Where there is no configuration the sentence has the command that writes it."""
    with pytest.raises(ConfigError, match=rf"Run `farspan up --data {tmp_path}`"):
        load_config(tmp_path / CONFIG_FILE_NAME, {})


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """What cannot be read is named with the reason."""
    with pytest.raises(ConfigError, match=r"cannot be read: .*\.$"):
        load_config(tmp_path, {})


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused like one that is no TOML."""
    path = tmp_path / CONFIG_FILE_NAME
    path.write_bytes(b'cluster_secret = "\xff"')

    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(path, {})


def test_quotas_default_to_eventbridges(tmp_path: Path) -> None:
    """A quota that the file does not name has EventBridge's figure."""
    quotas = load_config(write(tmp_path, "[quotas]\ntargets_per_rule = 20\n"), {}).quotas

    assert quotas == QuotaConfig(targets_per_rule=20)
    assert (100, 300, 5, 2048) == (
        QuotaConfig().event_buses,
        QuotaConfig().rules_per_bus,
        QuotaConfig().targets_per_rule,
        QuotaConfig().event_pattern_characters,
    )


@pytest.mark.parametrize(
    "line",
    ["rules_per_bus = -1", "rules = 3", 'endpoints = "many"'],
    ids=["negative", "name", "type"],
)
def test_quotas_that_are_none(tmp_path: Path, line: str) -> None:
    """The message names the file and the setting."""
    with pytest.raises(ConfigError, match="quotas"):
        load_config(write(tmp_path, f"[quotas]\n{line}\n"), {})


def test_an_endpoints_arn_says_more_than_its_name() -> None:
    """Two accounts may have an endpoint of one name; what is not named has the default."""
    arn = "arn:aws:events:us-east-1:000000000000:endpoint/orders"
    replication = ReplicationConfig(
        mode="sync_or_async", endpoints={"orders": "sync", arn: "async"}
    )

    assert replication.mode_of("orders", arn) == "async"
    assert replication.mode_of("orders", arn.replace("0" * 12, "1" * 12)) == "sync"
    assert replication.mode_of("bills", arn.replace("orders", "bills")) == "sync_or_async"
    assert ReplicationConfig().mode_of("orders", arn) == "async"


def test_where_targets_may_be(tmp_path: Path, certificate: Path) -> None:
    """The section of the targets is read, and written again as it was."""
    config = load_config(
        write(
            tmp_path,
            '[targets]\nallow_private = ["10.0.0.0/8", "::1", "hooks.internal"]\n'
            f'ca_file = "{certificate}"\n'
            '[targets.allow_private_for]\n000000000000 = ["127.0.0.1"]\n',
        ),
        {},
    )

    assert config.targets == TargetsConfig(
        allow_private=("10.0.0.0/8", "::1", "hooks.internal"),
        allow_private_for={"000000000000": ("127.0.0.1",)},
        ca_file=str(certificate),
    )
    (tmp_path / "again").mkdir()
    again = tmp_path / "again" / CONFIG_FILE_NAME
    again.write_text(render_config(config))
    assert config.targets == load_config(again, {}).targets


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('allow_private = ["10.0.0.1/8"]', "`10.0.0.1/8` in targets.allow_private"),
        ('allow_private = ["https://a.example"]', "`https://a.example` in targets.allow_private"),
        ('allow_private = ["1.2.3"]', "`1.2.3` in targets.allow_private"),
        ("allow_private_for = { shop = [] }", "`shop` must be an account id"),
        ('ca_file = "none.pem"', "none.pem holds no certificates in PEM form: No such file"),
        ('ca_file = "farspan.toml"', "farspan.toml holds no certificates in PEM form"),
    ],
)
def test_targets_that_are_nowhere(tmp_path: Path, lines: str, message: str) -> None:
    """The message names the file and what is wrong in it."""
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(write(tmp_path, f"[targets]\n{lines}\n"), {})
