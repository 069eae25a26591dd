"""AWS clients of a deployment: the command line calls the public API like anyone else."""

from __future__ import annotations

import functools
from typing import Any

from farspan.cli.remote import Remote
from farspan.config import Config

API_SECONDS_MAX = 10


def client(service: str, region: str, config: Config, **settings: Any) -> Any:  # noqa: ANN401
    """Return a botocore client of a service in a Region; botocore's clients have no types."""
    remote = Remote(config.nodes[0].url, region, config.credentials[0])
    return client_of(remote, service, region, **settings)


def client_of(remote: Remote, service: str, region: str, **settings: Any) -> Any:  # noqa: ANN401
    """Return the same for a deployment that runs elsewhere."""
    from botocore.config import Config as BotoConfig

    options = {"connect_timeout": API_SECONDS_MAX, "read_timeout": API_SECONDS_MAX, **settings}
    return _session().create_client(
        service,
        region_name=region,
        config=BotoConfig(**options),
        **arguments_of(remote),
    )


@functools.cache
def _session() -> Any:  # noqa: ANN401 - botocore has no types
    """Return the one session, which keeps the services' models that it has read."""
    import botocore.session

    return botocore.session.get_session()


def arguments_of(remote: Remote) -> dict[str, Any]:
    """Return what leads an SDK's client to the deployment, and its keys."""
    return {
        "endpoint_url": remote.url,
        "aws_access_key_id": remote.credential.access_key_id,
        "aws_secret_access_key": remote.credential.secret_access_key,
        "aws_session_token": remote.session_token,
    }
