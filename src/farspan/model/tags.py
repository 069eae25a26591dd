"""Tags of a rule or a bus, by key. The API's model bounds keys and values; here is the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from farspan.errors import ValidationException

TAGS_MAX = 50
"""Tags of one resource (AWS: tag restrictions)."""

RESERVED_PREFIX = "aws:"


def with_tags(former: Mapping[str, str], given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the former tags with the given ones; of a key that comes twice the last value counts.

    `given` is a TagList. Raises ValidationException; the texts are our choice.
    """
    tags = {**former, **{tag["Key"]: tag["Value"] for tag in given}}
    for tag in given:
        if tag["Key"].lower().startswith(RESERVED_PREFIX):
            raise ValidationException(
                "Parameter Tags is not valid. Reason: keys that begin with aws: are AWS's own."
            )
    if len(tags) > TAGS_MAX:
        raise ValidationException(
            f"Parameter Tags is not valid. Reason: a resource has at most {TAGS_MAX} tags."
        )
    return tags
