"""What a refusal looks like to a client."""

from contextlib import contextmanager

import pytest
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure


@contextmanager
def refused(code=None, words=(), values=()):
    """The block must fail with a command error: of this code, with these words, without these values or retry labels."""
    with pytest.raises(OperationFailure) as caught:
        yield caught
    error = caught.value
    assert not isinstance(error, (ConnectionFailure, BulkWriteError)), error
    details = error.details or {}
    assert details.get("codeName"), f"no codeName in {details}"
    assert details.get("errmsg"), details
    if code is not None:
        assert error.code == code, f"code {error.code}, not {code}: {details}"
    for word in [words] if isinstance(words, str) else words:
        assert word.lower() in details["errmsg"].lower(), details["errmsg"]
    for value in values:
        assert str(value) not in str(details), "a refusal repeats a value"
    assert not error.has_error_label("RetryableWriteError") and not error.has_error_label("TransientTransactionError")


UNAUTHORIZED = 13
CURSOR_NOT_FOUND = 43
