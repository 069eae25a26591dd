"""botocore as the other side of the wire: it writes our requests and reads our answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import botocore.session
import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.utils import percent_encode_sequence

from farspan.wire.http import Request, Response


class BotocoreSide:
    """What an SDK does between a call's parameters and the socket, and back."""

    def __init__(self) -> None:
        self._session = botocore.session.Session()

    def _model(self, service: str) -> Any:
        return self._session.get_service_model(service)

    def request(self, service: str, operation: str, params: dict[str, Any]) -> Request:
        """Serialise a call as botocore does."""
        model = self._model(service)
        serializer = create_serializer(model.resolved_protocol, include_validation=True)
        made = serializer.serialize_to_request(params, model.operation_model(operation))
        body = made["body"]
        if isinstance(body, dict):
            body = urlencode(body).encode()
        headers = {name.lower(): value for name, value in made["headers"].items()}
        return Request(
            method=made["method"],
            path=made["url_path"],
            query=percent_encode_sequence(made["query_string"]) if made["query_string"] else "",
            headers={"host": "localhost:8000", **headers},
            body=body.encode() if isinstance(body, str) else body,
        )

    def parse(self, service: str, operation: str, response: Response) -> dict[str, Any]:
        """Parse a response as botocore does; timestamps become epoch seconds again."""
        model = self._model(service)
        parser = create_parser(model.resolved_protocol)
        raw = {
            "status_code": response.status,
            "headers": HeadersDict(dict(response.headers)),
            "body": response.body,
        }
        return plain(parser.parse(raw, model.operation_model(operation).output_shape))


def plain(value: Any) -> Any:
    """Turn datetimes into epoch seconds, however deep they are."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return value


@pytest.fixture(scope="session")
def botocore_side() -> BotocoreSide:
    """One botocore session for all tests: loading the models is slow."""
    return BotocoreSide()
