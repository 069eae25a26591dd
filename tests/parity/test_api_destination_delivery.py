"""From PutEvents to an HTTPS endpoint: requests, tokens, retries, and what goes to the queue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from farspan.config import TargetsConfig

if TYPE_CHECKING:
    from tests.parity.conftest import ClientFactory, Deployment, Eventually, Hook, Hooked

EAST = "us-east-1"
ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/invoke"
KEY = ("test", "test")
API_KEY = {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "hush"}}


@pytest.fixture
def hook(certificate: Path, hooked: Hooked) -> Iterator[Hook]:
    """Run an HTTPS server on loopback, whose /token hands out numbered tokens."""
    with hooked(certificate) as hook:
        yield hook


@pytest.fixture(scope="module")
def guarded(deployed: Callable[..., Deployment], certificate: Path) -> Deployment:
    """A Region that lets targets be on this machine and trusts the server's certificate."""
    return deployed(targets=TargetsConfig(allow_private=("127.0.0.0/8",), ca_file=str(certificate)))


@dataclass(slots=True)
class Shop:
    """A bus whose rule has an API destination as its target, and a dead-letter queue."""

    events: Any
    sqs: Any
    name: str
    queue_url: str = ""

    def build(self, url: str, *, kind: str, auth: Any, target: Any, **destination: Any) -> None:
        """Make the connection, the API destination, the bus, the rule and the queue."""
        connection = self.events.create_connection(
            Name=self.name, AuthorizationType=kind, AuthParameters=auth
        )
        made = self.events.create_api_destination(
            Name=self.name,
            ConnectionArn=connection["ConnectionArn"],
            **{"InvocationEndpoint": url, "HttpMethod": "POST", **destination},
        )
        self.queue_url = self.sqs.create_queue(QueueName=self.name)["QueueUrl"]
        self.events.create_event_bus(Name=self.name)
        self.events.put_rule(
            Name=self.name, EventBusName=self.name, EventPattern='{"source":["shop"]}'
        )
        self.events.put_targets(
            Rule=self.name,
            EventBusName=self.name,
            Targets=[
                {
                    "Id": "hook",
                    "Arn": made["ApiDestinationArn"],
                    "RoleArn": ROLE,
                    "DeadLetterConfig": {"Arn": f"arn:aws:sqs:{EAST}:{ACCOUNT}:{self.name}"},
                    **target,
                }
            ],
        )

    def put(self, detail: str = '{"n":1}') -> None:
        """Put one event that the rule matches."""
        answer = self.events.put_events(
            Entries=[
                {
                    "Source": "shop",
                    "DetailType": "paid",
                    "Detail": detail,
                    "EventBusName": self.name,
                }
            ]
        )
        assert 0 == answer["FailedEntryCount"]

    def dead_letter(self) -> dict[str, str]:
        """Return the attributes of the one dead letter, its body among them."""
        (message,) = self.sqs.receive_message(
            QueueUrl=self.queue_url, WaitTimeSeconds=10, MessageAttributeNames=["All"]
        )["Messages"]
        attributes = message["MessageAttributes"].items()
        return {
            "Body": message["Body"],
            **{name: attribute["StringValue"] for name, attribute in attributes},
        }

    def state(self) -> tuple[str, str | None]:
        """Return the connection's state and its reason."""
        found = self.events.describe_connection(Name=self.name)
        return found["ConnectionState"], found.get("StateReason")


MakeShop = Callable[..., Shop]


@pytest.fixture
def make_shop(guarded: Deployment, client_of: ClientFactory, name: str) -> MakeShop:
    """Build a shop in the Region that allows loopback, or in another."""

    def make_shop(
        url: str,
        *,
        kind: str = "API_KEY",
        auth: Any = API_KEY,
        target: Any = None,
        deployment: Deployment = guarded,
        **destination: Any,
    ) -> Shop:
        shop = Shop(
            client_of(deployment.url, "events", EAST, KEY),
            client_of(deployment.url, "sqs", EAST, KEY),
            name,
        )
        shop.build(url, kind=kind, auth=auth, target=target or {}, **destination)
        return shop

    return make_shop


def oauth(hook: Hook) -> dict[str, Any]:
    """Return a client's credentials for the hook's own authorization endpoint."""
    return {
        "kind": "OAUTH_CLIENT_CREDENTIALS",
        "auth": {
            "OAuthParameters": {
                "ClientParameters": {"ClientID": "shop", "ClientSecret": "hush"},
                "AuthorizationEndpoint": f"{hook.url}/token",
                "HttpMethod": "POST",
            }
        },
    }


def test_an_event_as_a_request(hook: Hook, make_shop: MakeShop, eventually: Eventually) -> None:
    """The event is the body; path, query and headers come from target and connection."""
    shop = make_shop(
        f"{hook.url}/users/*/paid",
        auth={
            **API_KEY,
            "InvocationHttpParameters": {
                "HeaderParameters": [{"Key": "X-Shop", "Value": "1", "IsValueSecret": True}],
                "BodyParameters": [{"Key": "shop", "Value": "main"}],
            },
        },
        target={
            "HttpParameters": {
                "PathParameterValues": ["$.detail.user"],
                "QueryStringParameters": {"v": "$.detail.n"},
                "HeaderParameters": {"X-Target": "t"},
            }
        },
    )
    shop.put('{"n": 1.10, "user": "a/b"}')
    eventually(lambda: hook.seen)
    (seen,) = hook.seen
    event = json.loads(seen.body)

    assert ("POST", "/users/a%2Fb/paid?v=1.10") == (seen.method, seen.path)
    assert ("shop", "paid", "main") == (event["source"], event["detail-type"], event["shop"])
    assert '{"n": 1.10, "user": "a/b"}' in seen.body
    assert {
        "X-Key": "hush",
        "X-Shop": "1",
        "X-Target": "t",
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Amazon/EventBridge/ApiDestinations",
        "Range": "bytes=0-1048575",
        "Accept-Encoding": "gzip,deflate",
        "Host": hook.url.removeprefix("https://"),
        "Content-Length": str(len(seen.body)),
    } == seen.headers


def test_a_token_and_another(hook: Hook, make_shop: MakeShop, eventually: Eventually) -> None:
    """A connection becomes AUTHORIZED by a real token; one that the target refuses is renewed."""
    shop = make_shop(f"{hook.url}/paid", **oauth(hook))
    eventually(lambda: shop.state()[0] == "AUTHORIZED")
    (asked,) = hook.at("/token")
    hook.answers = [(401, {}, "")]
    shop.put()
    eventually(lambda: len(hook.at("/paid")) == 2)

    assert {
        "grant_type": ["client_credentials"],
        "client_id": ["shop"],
        "client_secret": ["hush"],
    } == parse_qs(asked.body)
    assert ["Bearer t1", "Bearer t2"] == [one.headers["Authorization"] for one in hook.at("/paid")]
    assert "LastAuthorizedTime" in shop.events.describe_connection(Name=shop.name)
    assert "ACTIVE" == shop.events.describe_api_destination(Name=shop.name)["ApiDestinationState"]


def test_a_token_that_is_refused(hook: Hook, make_shop: MakeShop, eventually: Eventually) -> None:
    """A refused client is DEAUTHORIZED with the reason; better credentials authorise it again."""
    hook.answers = [(400, {}, '{"error":"invalid_client"}')]
    shop = make_shop(f"{hook.url}/paid", **oauth(hook))
    eventually(lambda: shop.state()[0] == "DEAUTHORIZED")
    reason = shop.state()[1]
    destination = shop.events.describe_api_destination(Name=shop.name)
    credentials = oauth(hook)
    shop.events.update_connection(
        Name=shop.name,
        AuthorizationType=credentials["kind"],
        AuthParameters=credentials["auth"],
    )
    eventually(lambda: shop.state() == ("AUTHORIZED", None))

    assert "The authorization endpoint returned HTTP status 400." == reason
    assert "INACTIVE" == destination["ApiDestinationState"]


def test_an_answer_that_is_final(hook: Hook, make_shop: MakeShop) -> None:
    """A 4xx goes to the dead-letter queue at once, without the answer's body."""
    hook.answers = [(400, {}, "private")]
    shop = make_shop(f"{hook.url}/paid")
    shop.put()
    letter = shop.dead_letter()

    assert "shop" == json.loads(letter.pop("Body"))["source"]
    assert letter.pop("TARGET_ARN").startswith(
        f"arn:aws:events:{EAST}:{ACCOUNT}:api-destination/{shop.name}/"
    )
    assert {
        "RULE_ARN": f"arn:aws:events:{EAST}:{ACCOUNT}:rule/{shop.name}/{shop.name}",
        "ERROR_CODE": "SDK_CLIENT_ERROR",
        "ERROR_MESSAGE": "Unable to invoke ApiDestination endpoint: API destination returned "
        "HTTP status 400.",
    } == letter
    assert 1 == len(hook.seen)


def test_a_redirect_is_final(hook: Hook, make_shop: MakeShop) -> None:
    """A redirect is not followed, and ends the delivery."""
    hook.answers = [(307, {"Location": f"{hook.url}/elsewhere"}, "")]
    shop = make_shop(f"{hook.url}/paid")
    shop.put()

    assert "HTTP status 307" in shop.dead_letter()["ERROR_MESSAGE"]
    assert [] == hook.at("/elsewhere")


def test_too_many_requests(hook: Hook, make_shop: MakeShop, eventually: Eventually) -> None:
    """A 429 is tried again, not before Retry-After has passed."""
    hook.answers = [(429, {"Retry-After": "1"}, "")]
    shop = make_shop(f"{hook.url}/paid")
    shop.put()
    eventually(lambda: len(hook.seen) == 2)

    assert [] == shop.sqs.receive_message(QueueUrl=shop.queue_url).get("Messages", [])


def test_retries_that_are_used_up(hook: Hook, make_shop: MakeShop) -> None:
    """A target that fails to the end leaves what ran out in the dead letter."""
    hook.answers = [(503, {}, ""), (503, {}, "")]
    shop = make_shop(f"{hook.url}/paid", target={"RetryPolicy": {"MaximumRetryAttempts": 1}})
    shop.put()
    letter = shop.dead_letter()

    assert ("ERROR_FROM_TARGET", "MaximumRetryAttempts", "1") == (
        letter["ERROR_CODE"],
        letter["EXHAUSTED_RETRY_CONDITION"],
        letter["RETRY_ATTEMPTS"],
    )


def test_a_deleted_destination(hook: Hook, make_shop: MakeShop) -> None:
    """Events for an API destination that is gone are dead letters that say so."""
    shop = make_shop(f"{hook.url}/paid")
    shop.events.delete_api_destination(Name=shop.name)
    shop.put()

    assert "NO_RESOURCE" == shop.dead_letter()["ERROR_CODE"]
    assert [] == hook.seen


def test_a_deauthorized_connection(hook: Hook, make_shop: MakeShop) -> None:
    """Events for a connection whose credentials were removed are dead letters that say so."""
    shop = make_shop(f"{hook.url}/paid")
    shop.events.deauthorize_connection(Name=shop.name)
    shop.put()
    letter = shop.dead_letter()

    assert "NO_PERMISSIONS" == letter["ERROR_CODE"]
    assert "DEAUTHORIZING" in letter["ERROR_MESSAGE"]
    assert [] == hook.seen


def test_a_deleted_connection(hook: Hook, make_shop: MakeShop) -> None:
    """Events for a connection that is gone are dead letters that say so."""
    shop = make_shop(f"{hook.url}/paid")
    shop.events.delete_connection(Name=shop.name)
    shop.put()

    assert "NO_RESOURCE" == shop.dead_letter()["ERROR_CODE"]
    assert [] == hook.seen


def test_a_target_inside(hook: Hook, make_shop: MakeShop, deployment: Deployment) -> None:
    """With `auth` on nothing is sent to a private address that no configuration lists."""
    shop = make_shop(f"{hook.url}/paid", deployment=deployment)
    shop.put()
    letter = shop.dead_letter()

    assert "SDK_CLIENT_ERROR" == letter["ERROR_CODE"]
    assert "[targets] allow_private in farspan.toml" in letter["ERROR_MESSAGE"]
    assert [] == hook.seen


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            {"Arn": f"arn:aws:events:{EAST}:{ACCOUNT}:api-destination/a/b"},
            f"RoleArn is required for target arn:aws:events:{EAST}:{ACCOUNT}:api-destination/a/b.",
        ),
        (
            {"Arn": f"arn:aws:events:eu-west-1:{ACCOUNT}:api-destination/a/b", "RoleArn": ROLE},
            f"Parameter arn:aws:events:eu-west-1:{ACCOUNT}:api-destination/a/b is not valid. "
            f"Reason: it must be an API destination of account {ACCOUNT} in Region {EAST}.",
        ),
        (
            {
                "Arn": f"arn:aws:sqs:{EAST}:{ACCOUNT}:q",
                "HttpParameters": {"PathParameterValues": ["a"]},
            },
            "Parameter HttpParameters is not valid for target t. Reason: Farspan does not have "
            "HttpParameters for targets of sqs.",
        ),
        (
            {
                "Arn": f"arn:aws:events:{EAST}:{ACCOUNT}:api-destination/a/b",
                "RoleArn": ROLE,
                "HttpParameters": {"PathParameterValues": ["$..a"]},
            },
            "Parameter HttpParameters is not valid for target t. Reason: `$..a` is not a supported "
            "JSON path.",
        ),
        (
            {"Arn": f"arn:aws:sns:{EAST}:{ACCOUNT}:topic"},
            f"Parameter arn:aws:sns:{EAST}:{ACCOUNT}:topic is not valid. Reason: Farspan has no "
            "endpoint for service sns; set [targets.endpoints] sns in farspan.toml.",
        ),
        (
            {"Arn": f"arn:aws:execute-api:{EAST}:{ACCOUNT}:abc/prod/GET/"},
            f"Parameter arn:aws:execute-api:{EAST}:{ACCOUNT}:abc/prod/GET/ is not valid. Reason: "
            "Farspan has no endpoint for service execute-api; set [targets.endpoints] execute-api "
            "in farspan.toml.",
        ),
    ],
    ids=["no-role", "other-region", "queue", "no-path", "no-service", "no-api"],
)
def test_targets_that_are_refused(
    make_shop: MakeShop, hook: Hook, target: dict[str, Any], message: str
) -> None:
    """PutTargets asks for a role, for the own Region, and for parameters of the right kind."""
    shop = make_shop(f"{hook.url}/paid")
    with pytest.raises(shop.events.exceptions.ClientError) as refused:
        shop.events.put_targets(
            Rule=shop.name, EventBusName=shop.name, Targets=[{"Id": "t", **target}]
        )

    assert {"Code": "ValidationException", "Message": message} == refused.value.response["Error"]
