"""What a refusal looks like to a client."""

from contextlib import contextmanager

import pytest
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure


@contextmanager
def refused(code=None, words=(), values=(), by_server=False):
    """The block must fail with a command error: of this code, with these words, without these values or retry labels.

    And it must be fieldgate's: the server stamps its errors with its cluster time (or does not know the command), so
    a request that got past fieldgate and failed there for reasons of its own does not pass for a refusal.
    """
    with pytest.raises(OperationFailure) as caught:
        yield caught
    error = caught.value
    assert not isinstance(error, (ConnectionFailure, BulkWriteError)), error
    details = error.details or {}
    assert details.get("codeName"), f"no codeName in {details}"
    assert details.get("errmsg"), details
    if not by_server:
        assert "$clusterTime" not in details and error.code != COMMAND_NOT_FOUND, f"the server refused it, not fieldgate: {details}"
    if code is not None:
        assert error.code == code, f"code {error.code}, not {code}: {details}"
    for word in [words] if isinstance(words, str) else words:
        assert word.lower() in details["errmsg"].lower(), details["errmsg"]
    for value in values:
        assert str(value) not in str(details), "a refusal repeats a value"
    assert not error.has_error_label("RetryableWriteError") and not error.has_error_label("TransientTransactionError")


COMMAND_NOT_FOUND = 59
UNAUTHORIZED = 13
CURSOR_NOT_FOUND = 43
