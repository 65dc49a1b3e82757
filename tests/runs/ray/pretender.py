"""A server that answers like a cluster's Jobs API, with whatever a test puts into it."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from auditor.runs.ray.backend import Backend
from auditor.runs.ray.parts import name_of

if TYPE_CHECKING:
    from collections.abc import Callable


def part(n: int, kind: str, payload: bytes = b"", **told: Any) -> bytes:
    """A part with a header of any content."""
    header = {"n": n, "kind": kind, "bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest(), **told}
    return json.dumps(header).encode() + b"\n" + payload


class Pretender:
    """Takes every job, says that it has run, and hands out `parts`.

    Attributes
    ----------
    parts : list of bytes
    heard : list of (method, path, headers)
    answers : dict of str to (int, dict, bytes)
        Path -> status, headers and body, instead of the usual answer.
    take : callable or None
        Called with every job that is handed over, as it was asked for.
    """

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.heard: list[tuple[str, str, dict[str, str]]] = []
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.take: Callable[[dict[str, Any]], None] | None = None
        self.job: dict[str, Any] = {"status": "SUCCEEDED", "message": "", "driver_node_id": "ab12"}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                parts = urlsplit(self.path)
                if (self.command, parts.path) == ("POST", "/api/jobs/") and outer.take is not None:
                    outer.take(json.loads(body))
                outer.heard.append((self.command, parts.path, dict(self.headers)))
                status, headers, answer = outer._answer(parts.path, parse_qs(parts.query))
                self.send_response(status)
                for key, value in {"Content-Length": str(len(answer)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(answer)

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def do_PUT(self) -> None:
                self._answer()

            def log_message(self, *_said: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def backend(self) -> Backend:
        return Backend(name="pretender", address=self.address, token="secret-token")

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, str], bytes]:
        if path in self.answers:
            return self.answers[path]
        if path == "/api/version":
            return _json({"ray_version": "2.60.0", "session_name": "session_x"})
        if path.startswith("/api/packages"):
            return 200, {}, b""
        if path == "/api/v0/nodes":
            return _json({"result": True, "data": {"result": {"result": []}}})
        if path == "/api/jobs/":
            return _json({"submission_id": "x"})
        if path.startswith("/api/jobs/"):
            return _json(self.job)
        if path == "/api/v0/logs":
            folder = query["glob"][0].rpartition("/")[0]
            names = [f"{folder}/{name_of(n)}" for n in range(1, len(self.parts) + 1)]
            return _json({"result": True, "data": {"result": {"internal": names}}})
        if path == "/api/v0/logs/file":
            n = int(query["filename"][0].rpartition("/")[2].removesuffix(".part"))
            return 200, {}, self.parts[n - 1]
        return 404, {}, b""


def _json(found: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(found).encode()
