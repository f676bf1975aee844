"""The HTTP API as the command line uses it: one request, one answer, every failure a `Failure` that says what to do."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Self

import httpx
import msgspec
from httpx import URL

from daemon import __version__
from daemon.cli.failure import Failure, Problem, failure
from daemon.cli.output import Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_URL = "http://127.0.0.1:8080"
LARGEST_PAGE = 200

_TIMEOUT = httpx.Timeout(30, connect=5)  # seconds; the daemon bounds its own work well below
_SAFE = ("GET", "HEAD")


class UrlProblem(ValueError):
    """The daemon's address cannot be used; the message says what to write, and repeats no credentials."""


class Api:
    """A connection to one daemon with one token. A context manager; used from one thread at a time.

    `url`: http or https, with or without a path in front of `/v1`, or `unix:/path/of/the/socket`.
    Raises `UrlProblem` when made with any other."""

    def __init__(self, url: str, token: str) -> None:
        base, socket = parse_url(url)
        self.url = url.rstrip("/")
        self.token = token
        self._client = httpx.Client(
            base_url=base,
            # The system's certificate authorities, among them those its administrator added; httpx would bring its own.
            transport=httpx.HTTPTransport(uds=socket, verify=ssl.create_default_context(), trust_env=False),
            trust_env=False,
            timeout=_TIMEOUT,
            headers={"authorization": f"Bearer {token}", "user-agent": f"Tenant-Webhooks-CLI/{__version__}"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.close()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        return self.send("GET", path, params=params)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        document: Mapping[str, object] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """The body of a 2xx answer: JSON, or nothing. `document` is encoded as JSON; `content` is JSON already.

        Raises `Failure` for every other answer and when none comes."""
        if document is not None:
            content = msgspec.json.encode(document)
        kind = {"content-type": "application/json"} if content is not None else {}
        try:
            response = self._client.request(
                method, path, params=params, content=content, headers={**kind, **(headers or {})}
            )
        except httpx.ConnectTimeout:
            raise self._unreachable("no answer within 5 s") from None
        except httpx.ConnectError as error:
            raise self._unreachable(str(error) or "the connection failed") from None
        except httpx.TimeoutException:
            raise self._lost(method, "did not answer within 30 s") from None
        except httpx.TransportError as error:
            raise self._lost(method, f"ended the connection before its answer ({error})") from None
        return self._body(response)

    def pages(self, path: str, params: Mapping[str, str], *, whole: bool) -> Iterator[bytes]:
        """One page of a list, or (`whole`) that one and all after it. An empty page that is not the last is passed
        over: the daemon has not found anything yet."""
        query = dict(params)
        while True:
            body = self.get(path, query)
            page = msgspec.json.decode(body, type=Page)
            following = page.next
            if page.data or following is None:
                yield body
                if not whole or following is None:
                    return
            query["cursor"] = following

    def _body(self, response: httpx.Response) -> bytes:
        body = response.content
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.is_success and (not body or kind == "application/json"):
            return body
        if kind == "application/problem+json":
            try:
                problem = msgspec.json.decode(body, type=Problem)
            except msgspec.MsgspecError:
                pass
            else:
                raise Failure(problem, body=body, retry_after=response.headers.get("retry-after"))
        if response.is_redirect:
            raise failure(
                "the address answers with a redirect",
                f"{self.url} sends elsewhere, and a token is not taken along. Give the daemon's own address by --url.",
            )
        raise not_the_api(self.url, f"HTTP {response.status_code} with content of type {kind or 'none'}")

    def _unreachable(self, why: str) -> Failure:
        return failure(
            "the daemon cannot be reached",
            f"Nothing answers at {self.url}: {why}. Is it running (tenant-webhooks serve), and is this its address? "
            "--url or TENANT_WEBHOOKS_URL say where to look.",
        )

    def _lost(self, method: str, what: str) -> Failure:
        doubt = "" if method in _SAFE else " The request may have been carried out: look before you repeat it."
        return failure("no answer", f"The daemon at {self.url} {what}.{doubt}")


def not_the_api(url: str, what: str = "something else than this API's JSON") -> Failure:
    return failure(
        "not an answer of this API",
        f"{url} answered {what}. Is it the daemon's address, and does what stands in front of it pass requests on?",
    )


def parse_url(url: str) -> tuple[str, str | None]:
    """The base of every request and, for `unix:/path`, the socket. Raises `UrlProblem`."""
    if url.startswith("unix:"):
        path = url.removeprefix("unix:")
        if not path.startswith("/"):
            raise UrlProblem("write the socket's whole path, such as unix:/run/tenant-webhooks/api.sock")
        return "http://localhost", path
    try:
        parsed = URL(url)
        usable = parsed.scheme in ("http", "https") and bool(parsed.host) and (parsed.port or 1) <= 65535
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise UrlProblem(f"write the daemon's address as a URL, such as {DEFAULT_URL}")
    if parsed.userinfo:  # pyright: ignore[reportPossiblyUnboundVariable]  # unusable left above
        raise UrlProblem("the URL may not hold credentials; the token has options of its own")
    if parsed.query or parsed.fragment:  # pyright: ignore[reportPossiblyUnboundVariable]  # unusable left above
        raise UrlProblem("the URL may have neither a query nor a fragment")
    return url, None
