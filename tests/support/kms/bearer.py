"""Bearer tokens, as those who issue them and the key manager that takes them share."""

import secrets
import threading
import time


class BearerTokens:
    """Each is good for one audience (a resource, or a scope) until it expires."""

    def __init__(self, prefix):
        self._prefix, self._known, self._lock = prefix, {}, threading.Lock()

    def issue(self, audience, seconds):
        token = self._prefix + secrets.token_urlsafe(48)
        with self._lock:
            self._known[token] = (audience, time.time() + seconds)
        return token

    def issued(self):
        with self._lock:
            return list(self._known)

    def expire(self):
        """All that were issued until now."""
        with self._lock:
            self._known = {token: (audience, time.time() - 1) for token, (audience, _) in self._known.items()}

    def judge(self, header, audiences):
        """None for a good Authorization header, otherwise "missing", "unknown", "audience" or "expired"."""
        scheme, _, token = (header or "").partition(" ")
        if scheme != "Bearer" or not token:
            return "missing"
        with self._lock:
            known = self._known.get(token)
        if known is None:
            return "unknown"
        if known[0] not in audiences:
            return "audience"
        return "expired" if known[1] < time.time() else None
