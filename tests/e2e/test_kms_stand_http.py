"""What the stand-ins refuse before a provider's own checks: requests that two readers could take differently."""

import socket

import pytest
from kms.http1 import BODY_BYTES_MAX, HEAD_BYTES_MAX, json_response
from kms.http_stand import HttpStand


class Echo(HttpStand):
    kinds = {"any"}

    def kind_of(self, request):
        return request.kind or "any"

    def error(self, status, why):
        return json_response(status, {"error": why})

    def handle(self, request):
        return json_response(200, {"path": request.segments(), "query": request.query, "body": len(request.body)})


@pytest.fixture(scope="module")
def echo():
    with Echo() as stand:
        yield stand
    assert not stand.failures


def answer(stand, data, end=False):
    with socket.create_connection(("127.0.0.1", stand.port), timeout=5) as connection:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return connection.recv(65536)


def request(first="GET / HTTP/1.1", *headers, body=b"", host="Host: 127.0.0.1"):
    return "\r\n".join([first, *([host] if host else []), *headers, "", ""]).encode() + body


def test_good_requests(echo):
    assert b'"path": ["a b", ""], "query": {"c": "d", "e": ""}' in answer(echo, request("GET /a%20b/?c=d&e= HTTP/1.1"))
    assert b'"body": 2' in answer(echo, request("POST / HTTP/1.1", "Content-Length: 2", body=b"{}"))
    assert answer(echo, request(host=f"Host: localhost:{echo.port}")).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_connection_is_used_again_unless_either_side_closes(echo):
    with socket.create_connection(("127.0.0.1", echo.port), timeout=5) as connection:
        for last in (False, False, True):
            connection.sendall(request("GET / HTTP/1.1", *(["Connection: close"] if last else [])))
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert connection.recv(65536) == b""


@pytest.mark.parametrize("data, why", [
    (request("GET / HTTP/1.0"), "request line"), (request("get / HTTP/1.1"), "request line"), (request("GET  / HTTP/1.1"), "request line"),
    (request("GET http://127.0.0.1/ HTTP/1.1"), "request line"), (request("GET /#x HTTP/1.1"), "request line"),
    (request(host=None), "no Host"), (request(host="Host: elsewhere.example"), "another server"),
    (request("GET / HTTP/1.1", "Host: 127.0.0.1"), "stands 2 times"), (request("GET / HTTP/1.1", "Bad Name: x"), "malformed"),
    (request("GET / HTTP/1.1", "X : x"), "malformed"), (request("GET / HTTP/1.1", " folded"), "malformed"),
    (request("POST / HTTP/1.1"), "no Content-Length"), (request("POST / HTTP/1.1", "Content-Length: +2", body=b"{}"), "Content-Length"),
    (request("POST / HTTP/1.1", "Content-Length: 2", "Content-Length: 2", body=b"{}"), "stands 2 times"),
    (request("POST / HTTP/1.1", f"Content-Length: {BODY_BYTES_MAX + 1}"), "too large"),
    (request("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Content-Length: 2", body=b"{}"), "Transfer-Encoding"),
    (request("POST / HTTP/1.1", "Content-Length: 1", body=b"{}"), "bytes follow"),
    (request("GET /a/../b HTTP/1.1"), "dot segment"), (request("GET /a%2fb HTTP/1.1"), "encoded slash"),
    (request("GET /?a=1&a=2 HTTP/1.1"), "stands twice"),
    (request("GET / HTTP/1.1", "X: " + "x" * HEAD_BYTES_MAX, "Y: " + "y" * 4096)[:-2], "too long"),
])
def test_bad_requests(echo, data, why):
    received = answer(echo, data)
    assert received.split(b" ")[1] in (b"400", b"404") and why.encode() in received


def test_requests_that_end_too_early(echo):
    assert b"the body ends too early" in answer(echo, request("POST / HTTP/1.1", "Content-Length: 3", body=b"{}"), end=True)
    assert b"the head ends too early" in answer(echo, b"GET / HTTP/1.1\r\nHost", end=True)


def test_a_redirect_is_a_fault(echo):
    with echo.faulty("redirect"):
        assert answer(echo, request()).startswith(b"HTTP/1.1 302 Found") and echo.requests[-1]["outcome"] == "redirect"
