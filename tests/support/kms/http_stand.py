"""A stand-in that speaks HTTPS, or plain HTTP without certificates as metadata servers do."""

import http.client
import json

from .http1 import BadRequest, Request, Response, read_request
from .stand import Closed, Stand


class Refused(Exception):
    """A provider's refusal, raised from deep inside its checks."""

    def __init__(self, response, why):
        super().__init__(why)
        self.response = response


class HttpStand(Stand):
    """A provider gives `kind_of(request)`, `handle(request)`, `error(status, why)`, and `spoil_value(fault, request, json)`."""

    def __init__(self, certificates=None, **options):
        super().__init__(certificates, **options)
        self.complaints = []  # why requests were refused, for the assertion's message

    @property
    def names(self):
        """What the Host header may say; libmongocrypt leaves the port out."""
        return {name + port for name in (self.host, "localhost") for port in ("", f":{self.port}")}

    @property
    def url(self):
        return f"{'https' if self._certificates else 'http'}://{self.address}"

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def receive(self, connection):
        try:
            return read_request(connection.recv)
        except BadRequest as error:
            self.complaints.append(str(error))
            return Request("", "", [], kind="malformed", extra={"why": str(error)})

    def answer(self, request):
        if request.kind == "malformed":
            return self.error(400, request.extra["why"])
        try:
            self.require(request.header("host") in self.names, f"the Host header names another server: {request.header('host')}", 404)
            return self.handle(request)
        except Refused as refused:
            self.complaints.append(str(refused))
            return refused.response
        except BadRequest as error:
            self.complaints.append(str(error))
            return self.error(400, str(error))

    def refusal(self, fault, request):
        if fault == "throttle":
            return self.error(429, "Too many requests")
        if fault in ("500", "503"):
            return self.error(int(fault), "Something went wrong on our side")
        if fault == "not_parsable":
            return Response(200, b"<html>captive portal</html>", content_type="text/html")
        if fault == "redirect":
            return Response(302, b"", [("Location", "https://elsewhere.example/")])
        return None

    def spoil(self, fault, request, response):
        if fault in ("wrong_length", "wrong_type") and response.status == 200:
            value = self.spoil_value(fault, request, json.loads(response.body))
            return Response(200, json.dumps(value).encode(), response.headers, response.content_type)
        return response

    def refuse(self, status, why):
        raise Refused(self.error(status, why), why)

    def require(self, holds, why, status=400):
        if not holds:
            self.refuse(status, why)

    def encode(self, response):
        return response.encode()

    def oversized(self):
        filler = b" " * (1024 * 1024)
        body = b'{"filler": "' + filler * (self.oversized_bytes // len(filler)) + b'"}'
        return Response(200, body).encode()

    def body_begins(self, data):
        return data.index(b"\r\n\r\n") + 4

    def outcome_of(self, response):
        return "ok" if 200 <= response.status < 300 else str(response.status)

    def record(self, request):
        """Never values of headers, nor bodies: they hold tokens and keys."""
        return {"method": request.method, "path": request.path, "headers": [name.lower() for name, _ in request.headers]}

    def stays_open(self, request):
        return request.kind != "malformed" and (request.header("connection") or "").lower() != "close"


def forward(request, port, headers=None):
    """Passes a request to a server on loopback that speaks plain HTTP, and takes its answer over."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        kept = {name: value for name, value in request.headers
                if name.lower() not in ("host", "connection", "content-length", "accept-encoding")}
        connection.request(request.method, request.target, request.body or None, {**kept, **(headers or {})})
        answer = connection.getresponse()
        body = answer.read()
        passed = [(name, value) for name, value in answer.getheaders()
                  if name.lower() not in ("connection", "content-length", "content-type", "transfer-encoding", "date", "server")]
        return Response(answer.status, body, passed, answer.getheader("content-type", "application/json"))
    except (OSError, http.client.HTTPException):
        raise Closed from None
    finally:
        connection.close()
