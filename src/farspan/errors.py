"""The errors a caller can get, as AWS names them.

An error is a value: code, HTTP status, message. How it becomes bytes is the wire's affair.
Nothing here may import another part of Farspan.
"""

from __future__ import annotations


class AwsError(Exception):
    """An error that a caller of the API receives.

    `code` is the name AWS gives it (`ResourceNotFoundException`), `status` the HTTP status,
    `fault` whether the caller or the server is to blame. The message says what happened, where,
    and, where the caller can do something about it, what to do next.
    """

    status: int = 400
    sender_fault: bool = True
    code_on_wire: str | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def code(self) -> str:
        """The error's name on the wire: the class's own, unless the service words it otherwise."""
        return self.code_on_wire or type(self).__name__


# --- request and signature: any service may answer these (AWS: common errors) ---------------


class ValidationException(AwsError):
    """The input fails a constraint of the model or a rule of the service."""


class SerializationException(AwsError):
    """The body is not what the protocol asks for: broken JSON, or a member of the wrong type."""


class UnknownOperationException(AwsError):
    """The operation does not exist, or Farspan does not have it yet."""

    status = 404


class RequestEntityTooLargeException(AwsError):
    """The body is larger than any valid request of the service could be."""

    status = 413


class MissingAuthenticationTokenException(AwsError):
    """The request is not signed."""

    status = 403


class IncompleteSignatureException(AwsError):
    """The signature lacks a part."""

    status = 400


class InvalidSignatureException(AwsError):
    """The signature is not the one that the secret key gives."""

    status = 403


class UnrecognizedClientException(AwsError):
    """The access key is not one of this deployment."""

    status = 403


class ExpiredTokenException(AwsError):
    """The session token has expired."""

    status = 403


class AccessDeniedException(AwsError):
    """The caller may not do this."""


class ThrottlingException(AwsError):
    """Too much at once; the caller should slow down and try again."""


class InternalException(AwsError):
    """A fault of the server. Retrying is right."""

    status = 500
    sender_fault = False


class ServiceUnavailableException(AwsError):
    """The Region that has to answer cannot be reached, or is stopping. Retrying is right."""

    status = 503
    sender_fault = False


# --- events ----------------------------------------------------------------------------------


class ResourceNotFoundException(AwsError):
    """The named bus, rule or endpoint does not exist."""


class ResourceAlreadyExistsException(AwsError):
    """The name is taken."""


class ConcurrentModificationException(AwsError):
    """Another change of the same resource is under way."""


class LimitExceededException(AwsError):
    """The quota for this kind of resource is used up."""


class ManagedRuleException(AwsError):
    """The rule belongs to the system and is not changed by callers."""


class IllegalStatusException(AwsError):
    """The resource is in a state in which the operation is not possible."""


class InvalidStateException(AwsError):
    """The partner event source is in a state in which the operation is not possible."""


class PolicyLengthExceededException(AwsError):
    """The event bus's policy is longer than the quota allows."""


class InvalidEventPatternException(AwsError):
    """The event pattern is not valid; the message carries the reason and the place."""


# --- sqs -------------------------------------------------------------------------------------


class QueueDoesNotExist(AwsError):
    """The named queue does not exist in this Region and account."""


class QueueNameExists(AwsError):
    """A queue of that name exists with other attributes."""


class ReceiptHandleIsInvalid(AwsError):
    """The receipt handle is none that ReceiveMessage gave out."""


class MessageNotInflight(AwsError):
    """The message is not in flight, so that its visibility cannot change."""


class InvalidAttributeName(AwsError):
    """The queue has no attribute of that name."""


class InvalidAttributeValue(AwsError):
    """The attribute does not take that value."""


class InvalidParameterValueException(AwsError):
    """A parameter is out of its range (the SQS model does not name it; AWS answers it)."""

    code_on_wire = "InvalidParameterValue"


class MissingRequiredParameterException(AwsError):
    """A parameter that the queue's type needs is not there."""

    code_on_wire = "MissingParameter"


class InvalidMessageContents(AwsError):
    """The message holds characters that SQS does not carry."""


class EmptyBatchRequest(AwsError):
    """The batch has no entries."""


class TooManyEntriesInBatchRequest(AwsError):
    """The batch has more than 10 entries."""


class BatchEntryIdsNotDistinct(AwsError):
    """Two entries of the batch share an id."""


class InvalidBatchEntryId(AwsError):
    """An entry's id has characters beyond letters, digits, hyphen and underscore."""


class BatchRequestTooLong(AwsError):
    """The messages of the batch are too large together."""


class OverLimit(AwsError):
    """The request asks for more than the operation allows."""


class PurgeQueueInProgress(AwsError):
    """The queue was purged less than 60 seconds ago."""


class UnsupportedOperation(AwsError):
    """SQS has this, Farspan does not have it yet."""


# --- logs ------------------------------------------------------------------------------------


class InvalidParameterException(AwsError):
    """A parameter is not one that CloudWatch Logs takes."""


class TooManyTagsException(AwsError):
    """The log group would have more than 50 tags."""


# --- cloudwatch --------------------------------------------------------------------------------


class InvalidParameterCombinationException(AwsError):
    """Parameters that must not be used together."""

    code_on_wire = "InvalidParameterCombination"


class InvalidNextToken(AwsError):
    """The token is none that was given out for this request."""


class InvalidFormatFault(AwsError):
    """A text is not valid JSON."""

    code_on_wire = "InvalidFormat"


class ResourceNotFound(AwsError):
    """The named alarm does not exist."""

    status = 404


class NoSuchAlarm(AwsError):
    """The alarm that is to be tagged does not exist."""

    status = 404
    code_on_wire = "ResourceNotFoundException"


class LimitExceededFault(AwsError):
    """There are as many as there may be."""

    code_on_wire = "LimitExceeded"


# --- iam, and roles in sts -------------------------------------------------------------------


class NoSuchEntityException(AwsError):
    """The named role or policy does not exist."""

    status = 404


class EntityAlreadyExistsException(AwsError):
    """The account has a role of that name."""

    status = 409


class DeleteConflictException(AwsError):
    """The role still has policies."""

    status = 409


class MalformedPolicyDocumentException(AwsError):
    """The policy is not one, or not one for this place."""


class InvalidInputException(AwsError):
    """A parameter is not one that IAM takes."""


class PackedPolicyTooLargeException(AwsError):
    """The session's policies are too long together."""


# --- route53 ---------------------------------------------------------------------------------


class NoSuchHealthCheck(AwsError):
    """No health check has that id."""

    status = 404


class HealthCheckAlreadyExists(AwsError):
    """The CallerReference was used for another health check."""

    status = 409


class HealthCheckVersionMismatch(AwsError):
    """The health check changed since the version that the caller names."""

    status = 409


class HealthCheckInUse(AwsError):
    """Another health check is calculated from it."""


class NoSuchHostedZone(AwsError):
    """No hosted zone has that id."""

    status = 404


class TooManyHealthChecks(AwsError):
    """The account's quota of health checks is used up."""


class InvalidInput(AwsError):
    """The health check's configuration is not valid."""
