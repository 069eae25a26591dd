"""Configuration: one file, the environment and flags become one frozen `Config`.

`farspan up` writes the file into its data directory, so that `farspan serve` on the same directory
starts the same node again.
"""

from __future__ import annotations

import math
import os
import re
import ssl
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from farspan.dns_config import DnsConfig, TlsConfig, fault_in, is_address, rendered

CONFIG_FILE_NAME = "farspan.toml"
DEFAULT_PORT = 4566
DEFAULT_ACCOUNT = "000000000000"
NODE_ACCESS_KEY_ID = "farspan_node"
REGION_NAME = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}")
"""The form of AWS's Region names: `us-east-1`, `eu-central-1`, `us-gov-west-1`."""
NODE_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
"""A node's name names its directory as well."""
USER_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
"""The form of IAM's user names."""
HOST_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", re.ASCII)
ACCOUNT_ID = re.compile(r"[0-9]{12}", re.ASCII)
TARGET_SERVICES = frozenset(
    {
        "appsync",
        "batch",
        "codebuild",
        "codepipeline",
        "ecs",
        "execute-api",
        "firehose",
        "inspector",
        "kinesis",
        "lambda",
        "redshift-data",
        "sagemaker",
        "sns",
        "ssm",
        "stepfunctions",
    }
)
"""The AWS services that targets are of, as botocore names them; API Gateway's APIs by ARN."""
ENDPOINT_NAME = re.compile(r"[.\-_A-Za-z0-9]{1,64}", re.ASCII)
ENDPOINT_ARN = re.compile(
    rf"arn:aws:events:{REGION_NAME.pattern}:[0-9]{{12}}:endpoint/{ENDPOINT_NAME.pattern}", re.ASCII
)
REPLICATION_MODES = ("async", "sync", "sync_or_async")
COMPARE_SECONDS_MIN = 0.1
CATCH_UP_MIN, CATCH_UP_MAX = 10, 86_400
"""Less than a busy second's delay could cost an occurrence; more would be a burst."""
SWITCH = {"on": True, "off": False}


class ConfigError(Exception):
    """The configuration is not usable. The message says where and what to do."""


class Credential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An access key, its secret, and the account and user whose key it is.

    `policy` is an identity policy as JSON, `policy_file` a file of one beside the configuration.
    Without either, the key may do everything in its account.
    """

    access_key_id: str = "test"
    secret_access_key: str = "test"  # noqa: S105 - the documented default of local AWS tools
    account_id: str = DEFAULT_ACCOUNT
    user_name: str | None = None
    policy: str | None = None
    policy_file: str | None = None

    @property
    def named_user(self) -> str | None:
        """The user whose key it is, None for the account's root, which no policy bounds."""
        return self.user_name or (self.access_key_id if self.policy is not None else None)

    def __repr__(self) -> str:
        """Return whose key it is, without the secret."""
        return f"Credential({self.access_key_id!r}, account_id={self.account_id!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        """Return the same for rich, which msgspec would show everything."""
        return [("access_key_id", self.access_key_id), ("account_id", self.account_id)]


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node of the deployment: a Region's, or an edge where `region` is absent.

    `url` is where the other nodes reach it. `addresses` are where clients do in DNS mode, and where
    it serves HTTPS; without them it is the address in the URL.
    """

    name: str
    url: str
    region: str | None = None
    addresses: tuple[str, ...] = ()

    @property
    def reached_at(self) -> tuple[str, ...]:
        """The addresses that DNS mode answers with: none where the URL has a name instead."""
        host = urlsplit(self.url).hostname or ""
        return self.addresses or ((host,) if is_address(host) else ())


class HealthConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How health checks run. `time_scale` 20 makes 10 seconds of Route 53's time half a second.

    `allow_private` says whether they may look at private and loopback addresses; where it does not
    say, they may while `auth` is off. The deployment's own nodes they may look at anyway.
    """

    time_scale: float = 1.0
    allow_private: bool | None = None


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the log keeps events that all its readers have passed."""

    retention_hours: float = 24.0


class SchedulesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How late a schedule may still fire; what was missed for longer, while down, is let go."""

    catch_up_seconds: float = 60.0


class ReplaysConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many events a replay sends in a second."""

    events_per_second: int = 1_000


class ReplicationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an acknowledgement through an endpoint says, and how copying is held back and checked.

    `mode` is for every endpoint that `endpoints` does not name, by its name or its ARN: `async`
    (durable in one Region, as on AWS), `sync` (in both) or `sync_or_async` (in both; in one while
    the other does not follow). `backlog_share` is the part of the time that catching up may take,
    `compare_seconds` the time between two comparisons of a copy with its origin.
    """

    mode: str = "async"
    endpoints: dict[str, str] = {}
    backlog_share: float = 0.5
    compare_seconds: float = 60.0

    def mode_of(self, name: str, arn: str) -> str:
        """Return an endpoint's mode; its ARN is more than its name."""
        return self.endpoints.get(arn) or self.endpoints.get(name) or self.mode


class IamConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether a role given to a rule, target or endpoint must let EventBridge assume it."""

    enforce: bool = False


class EndpointConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an AWS service is that targets are of, and the keys that sign what is sent there."""

    url: str
    access_key_id: str = "test"
    secret_access_key: str = "test"  # noqa: S105 - the documented default of local AWS tools

    def __repr__(self) -> str:
        """Return where it is, without the secret."""
        return f"EndpointConfig({self.url!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        """Return the same for rich, which msgspec would show everything."""
        return [("url", self.url)]


class TargetsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where targets may be, and how they are reached.

    `allow_private` lists networks, addresses and host names that API destinations and token
    endpoints may be at besides public ones, for every account; `allow_private_for` for one account,
    by its id. With `auth` off private addresses are allowed anyway, link-local ones never are.
    `ca_file` names a file of certificates, beside the configuration, that are trusted besides the
    system's.

    `endpoints` has the URLs of AWS services that are targets, by botocore's name of the service,
    alone or with keys; `functions` the URLs of single Lambda functions' emulators, by name.
    """

    allow_private: tuple[str, ...] = ()
    allow_private_for: dict[str, tuple[str, ...]] = {}
    ca_file: str | None = None
    endpoints: dict[str, str | EndpointConfig] = {}
    functions: dict[str, str] = {}

    def endpoint(self, service: str) -> EndpointConfig | None:
        """Return where a service is, None where the configuration does not say."""
        given = self.endpoints.get(service)
        return EndpointConfig(url=given) if isinstance(given, str) else given


class QuotaConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many resources there may be, in one account and Region unless the name says otherwise.

    The defaults are EventBridge's. It names no figure for archives and partner event sources:
    those are our choice. `replays` counts those under way. Beyond 4,096 characters the API takes
    no pattern, whatever `event_pattern_characters` says.
    """

    event_buses: int = 100
    rules_per_bus: int = 300
    event_pattern_characters: int = 2_048
    targets_per_rule: int = 5
    endpoints: int = 100
    archives: int = 500
    replays: int = 10
    connections: int = 3_000
    api_destinations: int = 3_000
    partner_event_sources: int = 1_000


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a node has to know before it starts.

    `auth` False takes any key; `cluster_secret` signs what the nodes say to each other.
    `allow_reset` allows `POST /-/reset` where `auth` is on; where it is off, anyone may.
    """

    nodes: tuple[NodeConfig, ...] = ()
    credentials: tuple[Credential, ...] = (Credential(),)
    auth: bool = True
    cluster_secret: str = ""
    allow_reset: bool = False
    health: HealthConfig = HealthConfig()
    store: StoreConfig = StoreConfig()
    schedules: SchedulesConfig = SchedulesConfig()
    replays: ReplaysConfig = ReplaysConfig()
    replication: ReplicationConfig = ReplicationConfig()
    quotas: QuotaConfig = QuotaConfig()
    iam: IamConfig = IamConfig()
    targets: TargetsConfig = TargetsConfig()
    dns: DnsConfig | None = None
    tls: TlsConfig | None = None

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions of the deployment, in the order of the file."""
        return tuple(dict.fromkeys(node.region for node in self.nodes if node.region))

    def node_of(self, region: str) -> NodeConfig | None:
        """Return the node that serves a Region, or None."""
        return next((node for node in self.nodes if node.region == region), None)

    def node_named(self, name: str) -> NodeConfig | None:
        """Return a node by name, or None."""
        return next((node for node in self.nodes if node.name == name), None)


def load_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read the configuration file, with the environment's word above the file's.

    `FARSPAN_AUTH` (`on` or `off`) and `FARSPAN_TIME_SCALE` override the file.
    Raises ConfigError with a sentence that names the file and the setting.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no configuration at {path}. Run `farspan up --data {path.parent}` once, "
            "or write the file by hand."
        ) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error
    try:
        config = _override(msgspec.convert(settings, Config), environment)
        config = _with_places(_with_policies(config, path), path)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}.") from error
    _check(config, path)
    return config


def _override(config: Config, environment: Mapping[str, str]) -> Config:
    auth = environment.get("FARSPAN_AUTH")
    if auth is not None:
        if auth not in SWITCH:
            raise ConfigError(f"FARSPAN_AUTH must be on or off, not `{auth}`.")
        config = msgspec.structs.replace(config, auth=SWITCH[auth])
    time_scale = environment.get("FARSPAN_TIME_SCALE")
    if time_scale is not None:
        try:
            health = msgspec.structs.replace(config.health, time_scale=float(time_scale))
        except ValueError as error:
            raise ConfigError(
                f"FARSPAN_TIME_SCALE must be a number, not `{time_scale}`."
            ) from error
        config = msgspec.structs.replace(config, health=health)
    return config


def _with_policies(config: Config, path: Path) -> Config:
    """Return the configuration with the texts of its policy files."""
    credentials = tuple(_with_policy(credential, path) for credential in config.credentials)
    return msgspec.structs.replace(config, credentials=credentials)


def _with_policy(credential: Credential, path: Path) -> Credential:
    if credential.policy_file is None:
        return credential
    key = credential.access_key_id
    if credential.policy is not None:
        raise ConfigError(f"{path}: key {key} has a policy and a policy_file. Remove one of them.")
    place = path.parent / credential.policy_file
    try:
        text = place.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{path}: policy_file {place} of key {key} cannot be read: {reason}."
        ) from error
    return msgspec.structs.replace(credential, policy=text, policy_file=None)


def _with_places(config: Config, path: Path) -> Config:
    """Return the configuration with the whole path of the file of certificates."""
    if config.targets.ca_file is None:
        return config
    place = path.parent / config.targets.ca_file
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(place)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{path}: targets.ca_file {place} holds no certificates in PEM form: {reason}."
        ) from error
    return msgspec.structs.replace(
        config, targets=msgspec.structs.replace(config.targets, ca_file=str(place))
    )


def _check_credentials(config: Config, path: Path) -> None:
    if not config.credentials:
        raise ConfigError(f"{path}: there has to be one of [[credentials]] at least.")
    known: set[str] = set()
    for credential in config.credentials:
        if not ACCOUNT_ID.fullmatch(credential.account_id):
            raise ConfigError(f"{path}: account_id `{credential.account_id}` must have 12 digits.")
        if credential.access_key_id in known:
            raise ConfigError(f"{path}: access key `{credential.access_key_id}` is there twice.")
        known.add(credential.access_key_id)
        user = credential.user_name
        if user is not None and not USER_NAME.fullmatch(user):
            raise ConfigError(
                f"{path}: user_name `{user}` may have letters, digits and `_+=,.@-`, 64 at most."
            )


def _check(config: Config, path: Path) -> None:
    for node in config.nodes:
        _check_node(node, config, path)
    _check_credentials(config, path)
    _check_targets(config.targets, path)
    fault = fault_in(config.dns, config.tls, {n.name: n.reached_at for n in config.nodes})
    if fault is not None:
        raise ConfigError(f"{path}: {fault}")
    if not 0 < config.health.time_scale < math.inf:
        raise ConfigError(f"{path}: health.time_scale must be a number above 0.")
    if not 0 <= config.store.retention_hours < math.inf:
        raise ConfigError(f"{path}: store.retention_hours must be a number of 0 or more.")
    if not CATCH_UP_MIN <= config.schedules.catch_up_seconds <= CATCH_UP_MAX:
        raise ConfigError(
            f"{path}: schedules.catch_up_seconds must be a number from {CATCH_UP_MIN} to "
            f"{CATCH_UP_MAX}."
        )
    if config.replays.events_per_second < 1:
        raise ConfigError(f"{path}: replays.events_per_second must be a number of 1 or more.")
    _check_replication(config.replication, path)
    for name, quota in msgspec.structs.asdict(config.quotas).items():
        if quota < 0:
            raise ConfigError(f"{path}: quotas.{name} must be a number of 0 or more.")
    if len(config.nodes) > 1 and not config.cluster_secret:
        raise ConfigError(
            f"{path}: several nodes need a cluster_secret, the same in each node's file."
        )


def _check_replication(replication: ReplicationConfig, path: Path) -> None:
    modes = {f"endpoints.{name}": mode for name, mode in replication.endpoints.items()}
    for setting, mode in {"mode": replication.mode, **modes}.items():
        if mode not in REPLICATION_MODES:
            raise ConfigError(
                f"{path}: replication.{setting} must be one of {', '.join(REPLICATION_MODES)}, "
                f"not `{mode}`."
            )
    for name in replication.endpoints:
        if not (ENDPOINT_NAME.fullmatch(name) or ENDPOINT_ARN.fullmatch(name)):
            raise ConfigError(
                f"{path}: `{name}` in replication.endpoints is neither an endpoint's name nor its "
                "ARN, such as arn:aws:events:us-east-1:000000000000:endpoint/orders."
            )
    if not 0 < replication.backlog_share <= 1:
        raise ConfigError(
            f"{path}: replication.backlog_share must be a number above 0 and up to 1."
        )
    if not COMPARE_SECONDS_MIN <= replication.compare_seconds < math.inf:
        raise ConfigError(
            f"{path}: replication.compare_seconds must be a number of {COMPARE_SECONDS_MIN:g} "
            "or more."
        )


def _check_targets(targets: TargetsConfig, path: Path) -> None:
    for account in targets.allow_private_for:
        if not ACCOUNT_ID.fullmatch(account):
            raise ConfigError(
                f"{path}: targets.allow_private_for `{account}` must be an account id of 12 digits."
            )
    for service in targets.endpoints:
        endpoint = targets.endpoint(service)
        if service not in TARGET_SERVICES:
            raise ConfigError(
                f"{path}: `{service}` in targets.endpoints is no service that targets are of. "
                f"There are: {', '.join(sorted(TARGET_SERVICES))}."
            )
        if endpoint is not None and not is_http_url(endpoint.url):
            raise ConfigError(
                f"{path}: `{endpoint.url}` in targets.endpoints.{service} is no http URL."
            )
    for name, url in targets.functions.items():
        if not is_http_url(url):
            raise ConfigError(f"{path}: `{url}` in targets.functions.{name} is no http URL.")
    lists = [targets.allow_private, *targets.allow_private_for.values()]
    for text in (text for listed in lists for text in listed):
        if not (HOST_NAME.fullmatch(text) or _is_network(text)):
            raise ConfigError(
                f"{path}: `{text}` in targets.allow_private is no host name, address or network "
                "such as 10.0.0.0/8."
            )


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _check_node(node: NodeConfig, config: Config, path: Path) -> None:
    if not NODE_NAME.fullmatch(node.name):
        raise ConfigError(
            f"{path}: a node's name `{node.name}` may have letters, digits, `.`, `_` and `-`."
        )
    if sum(other.name == node.name for other in config.nodes) > 1:
        raise ConfigError(f"{path}: two nodes have the name `{node.name}`.")
    if not is_http_url(node.url):
        raise ConfigError(f"{path}: url `{node.url}` of node {node.name} is no http URL.")
    if node.region is not None and not REGION_NAME.fullmatch(node.region):
        raise ConfigError(f"{path}: `{node.region}` is no Region name such as us-east-1.")
    for address in node.addresses:
        if not is_address(address):
            raise ConfigError(f"{path}: `{address}` of node {node.name} is no IP address.")


def is_http_url(text: str) -> bool:
    """Tell whether a text is a URL that requests can be sent to."""
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        return False


def _quote(text: str) -> str:
    """Return a text as a TOML string; JSON's escapes are TOML's, but for DEL, which it lacks."""
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")


def _rendered_numbers(name: str, section: msgspec.Struct) -> list[str]:
    """Return the section with its numbers that differ from the defaults, nothing if none does."""
    defaults = msgspec.structs.asdict(type(section)())
    changed = [
        f"{key} = {number}"
        for key, number in msgspec.structs.asdict(section).items()
        if number != defaults[key]
    ]
    return ["", f"[{name}]", *changed] if changed else []


def _rendered_replication(replication: ReplicationConfig) -> list[str]:
    """Return the section of replication, nothing where it has only defaults."""
    if replication == ReplicationConfig():
        return []
    lines = ["", "[replication]", f"mode = {_quote(replication.mode)}"]
    lines.append(f"backlog_share = {replication.backlog_share}")
    lines.append(f"compare_seconds = {replication.compare_seconds}")
    if replication.endpoints:
        lines += ["", "[replication.endpoints]"]
        lines += [f"{_quote(k)} = {_quote(mode)}" for k, mode in replication.endpoints.items()]
    return lines


def _rendered_targets(targets: TargetsConfig) -> list[str]:
    """Return the section of the targets, nothing where it has only defaults."""
    if targets == TargetsConfig():
        return []
    lines = ["", "[targets]", f"allow_private = {_list(targets.allow_private)}"]
    if targets.ca_file is not None:
        lines.append(f"ca_file = {_quote(targets.ca_file)}")
    if targets.allow_private_for:
        lines += ["", "[targets.allow_private_for]"]
        lines += [f"{key} = {_list(listed)}" for key, listed in targets.allow_private_for.items()]
    if targets.functions:
        lines += ["", "[targets.functions]"]
        lines += [f"{_quote(name)} = {_quote(url)}" for name, url in targets.functions.items()]
    for service in targets.endpoints:
        endpoint = targets.endpoint(service)
        assert endpoint is not None, "a service that is listed has an endpoint"
        lines += ["", f"[targets.endpoints.{service}]"]
        lines += [
            f"{name} = {_quote(text)}" for name, text in msgspec.structs.asdict(endpoint).items()
        ]
    return lines


def _list(texts: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_quote, texts))}]"


def render_config(config: Config) -> str:
    """Return the configuration as the TOML that `load_config` reads."""
    lines = [
        "# Written by `farspan up`. `farspan serve` and `farspan edge` read it.",
        f"auth = {str(config.auth).lower()}",
        f"allow_reset = {str(config.allow_reset).lower()}",
        f"cluster_secret = {_quote(config.cluster_secret)}",
        "",
        "[health]",
        f"time_scale = {config.health.time_scale}",
        *_allow_private(config.health),
        "",
        "[store]",
        f"retention_hours = {config.store.retention_hours}",
        "",
        "[iam]",
        f"enforce = {str(config.iam.enforce).lower()}",
        *_rendered_numbers("schedules", config.schedules),
        *_rendered_numbers("replays", config.replays),
        *_rendered_numbers("quotas", config.quotas),
        *_rendered_replication(config.replication),
        *_rendered_targets(config.targets),
        *rendered(config.dns, config.tls),
    ]
    for node in config.nodes:
        lines += ["", "[[nodes]]", f"name = {_quote(node.name)}", f"url = {_quote(node.url)}"]
        if node.region:
            lines.append(f"region = {_quote(node.region)}")
        if node.addresses:
            lines.append(f"addresses = {_list(node.addresses)}")
    for credential in config.credentials:
        lines += [
            "",
            "[[credentials]]",
            f"access_key_id = {_quote(credential.access_key_id)}",
            f"secret_access_key = {_quote(credential.secret_access_key)}",
            f"account_id = {_quote(credential.account_id)}",
        ]
        for name in ("user_name", "policy", "policy_file"):
            text = getattr(credential, name)
            if text is not None:
                lines.append(f"{name} = {_quote(text)}")
    return "\n".join(lines) + "\n"


def _allow_private(health: HealthConfig) -> list[str]:
    """Return the line that says so, none where the configuration does not say."""
    if health.allow_private is None:
        return []
    return [f"allow_private = {str(health.allow_private).lower()}"]
