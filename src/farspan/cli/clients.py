"""AWS clients of a deployment: the command line calls the public API like anyone else."""

from __future__ import annotations

from typing import Any

from farspan.config import Config

API_SECONDS_MAX = 10


def client(service: str, region: str, config: Config, **settings: Any) -> Any:  # noqa: ANN401
    """Return a botocore client of a service in a Region; botocore's clients have no types."""
    import botocore.session
    from botocore.config import Config as BotoConfig

    credential = config.credentials[0]
    options = {"connect_timeout": API_SECONDS_MAX, "read_timeout": API_SECONDS_MAX, **settings}
    return botocore.session.get_session().create_client(
        service,
        region_name=region,
        endpoint_url=config.nodes[0].url,
        aws_access_key_id=credential.access_key_id,
        aws_secret_access_key=credential.secret_access_key,
        config=BotoConfig(**options),
    )
