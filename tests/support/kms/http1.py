"""The part of HTTP/1.1 that key managers' clients speak, read strictly: a request that a real server might take and an
intermediary might take differently is refused here, with the reason in the answer."""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 4 * 1024 * 1024
REASONS = {200: "OK", 204: "No Content", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
           404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 413: "Payload Too Large",
           415: "Unsupported Media Type", 429: "Too Many Requests", 500: "Internal Server Error",
           502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class BadRequest(Exception):
    """What was wrong with the request; the connection is closed after the answer."""


@dataclass
class Request:
    method: str
    target: str  # as received: path and query
    headers: list  # (name, value) as received, in order
    body: bytes = b""
    kind: str = ""  # what the stand-in took it for: "token", "encrypt", ...
    extra: dict = field(default_factory=dict)

    @property
    def path(self):
        return urlsplit(self.target).path

    @property
    def query(self):
        """Parameters of the query; one that stands twice is refused."""
        return unique(parse_qsl(urlsplit(self.target).query, keep_blank_values=True, strict_parsing=True)
                      if urlsplit(self.target).query else [])

    def header(self, name, default=None):
        values = [value for other, value in self.headers if other.lower() == name.lower()]
        if len(values) > 1:
            raise BadRequest(f"header {name} stands {len(values)} times")
        return values[0] if values else default

    def json(self):
        kind = (self.header("content-type") or "").split(";")[0].strip().lower()
        if kind != "application/json":
            raise BadRequest(f"Content-Type is {kind or 'absent'}, not application/json")
        return self.json_of_any_type()

    def json_of_any_type(self):
        try:
            value = json.loads(self.body, object_pairs_hook=unique)
        except ValueError as error:
            raise BadRequest(f"the body is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise BadRequest("the body is not a JSON object")
        return value

    def form(self):
        kind = (self.header("content-type") or "").split(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise BadRequest(f"Content-Type is {kind or 'absent'}, not application/x-www-form-urlencoded")
        try:
            return unique(parse_qsl(self.body.decode("ascii"), keep_blank_values=True, strict_parsing=True))
        except (ValueError, UnicodeDecodeError) as error:
            raise BadRequest(f"the body is not a form: {error}") from None

    def segments(self):
        """The path, decoded, cut at slashes; an encoded slash or dot segment is refused."""
        cut = [unquote(part) for part in self.path.split("/")[1:]]
        if any(part in (".", "..") or "/" in part for part in cut):
            raise BadRequest(f"the path {self.path} has a dot segment or an encoded slash")
        return cut


def unique(pairs):
    result = {}
    for name, value in pairs:
        if name in result:
            raise BadRequest(f"{name} stands twice")
        result[name] = value
    return result


@dataclass
class Response:
    status: int
    body: bytes = b""
    headers: list = field(default_factory=list)
    content_type: str = "application/json"

    def head(self, length=None):
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Unknown')}"]
        if self.body or self.status != 204:
            lines.append(f"Content-Type: {self.content_type}")
        lines.append(f"Content-Length: {len(self.body) if length is None else length}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def encode(self):
        return self.head() + self.body


def json_response(status, value, headers=()):
    return Response(status, json.dumps(value).encode(), list(headers))


def read_request(read):
    """The next request, or None when the peer ended between two. `read(n)` gives 1 to n bytes, b"" at the end."""
    buffered = b""
    while b"\r\n\r\n" not in buffered:
        if len(buffered) > HEAD_BYTES_MAX:
            raise BadRequest("the head is too long")
        more = read(4096)
        if not more:
            if buffered:
                raise BadRequest("the head ends too early")
            return None
        buffered += more
    head, _, rest = buffered.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    matched = re.fullmatch(rb"([A-Z]+) (/[\x21-\x7e]*) HTTP/1\.1", first)
    if not matched or b"#" in matched[2]:
        raise BadRequest("the request line is malformed")
    request = Request(matched[1].decode(), matched[2].decode(), [_header(line) for line in lines])
    if not request.header("host"):
        raise BadRequest("there is no Host header")
    if request.header("transfer-encoding") is not None:
        raise BadRequest("Transfer-Encoding is not taken in requests")
    length = request.header("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,9}", length) or int(length) > BODY_BYTES_MAX:
        raise BadRequest("Content-Length is not a number, or too large")
    if request.method in ("POST", "PUT") and request.header("content-length") is None:
        raise BadRequest("there is no Content-Length")
    while len(rest) < int(length):
        more = read(int(length) - len(rest))
        if not more:
            raise BadRequest("the body ends too early")
        rest += more
    if len(rest) > int(length):
        raise BadRequest("bytes follow the request before its answer")
    request.body = rest
    return request


def _header(line):
    name, colon, value = line.partition(b":")
    if not colon or not TOKEN.fullmatch(name):
        raise BadRequest("a header line is malformed")
    try:
        return name.decode(), value.strip(b" \t").decode("ascii")
    except UnicodeDecodeError:
        raise BadRequest("a header is not ASCII") from None
