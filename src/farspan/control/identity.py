"""Who is calling: sts GetCallerIdentity."""

from __future__ import annotations

from farspan.control.plane import Caller, ControlPlane, Output, Params, operation


@operation("sts", "GetCallerIdentity")
async def get_caller_identity(_plane: ControlPlane, caller: Caller, _params: Params) -> Output:
    """Return the account that the access key belongs to."""
    return {"UserId": caller.account, "Account": caller.account, "Arn": caller.arn}
