"""The Jobs API of a Ray cluster over HTTP, and the log endpoints of its dashboard: what is asked, never trusting the answer.

References
----------
Ray 2.52 and later: python/ray/dashboard/modules/job/job_head.py, modules/state/state_head.py, and the guide to token
authentication (``Authorization: Bearer``). Redirects are not followed, so that a token goes where it was meant to go only.
"""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from auditor import __version__
from auditor.errors import BackendError, InputError, printable
from auditor.runs.ray.backend import PLAIN_HTTP, Backend, is_plain_http_elsewhere, token_of
from auditor.runs.ray.trust import trust

#: Largest answer that is not a part of a run.
_MOST_JSON_BYTES = 8 * 1024 * 1024
_CHUNK = 1 << 16
#: However slowly a server sends: an answer that takes longer is given up.
_MOST_SECONDS = 300.0
_GATEWAY = (502, 503, 504)
_OVER = ("STOPPED", "SUCCEEDED", "FAILED")


class Unreachable(BackendError):
    """Nobody answers; it may be worth trying again."""


class Refused(BackendError):
    """The cluster wants a token, or another one."""


class NotRay(BackendError):
    """Somebody answers who is no Ray cluster."""


@dataclass(frozen=True)
class Version:
    """What a cluster says of itself."""

    ray: str


@dataclass(frozen=True)
class Job:
    """Where a job stands, as Ray says.

    Attributes
    ----------
    status : str
        PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
    message : str
        Ray's explanation, which may hold the end of the job's log.
    node : str or None
        Id of the node it was started on.
    exit_code : int or None
    """

    status: str
    message: str
    node: str | None
    exit_code: int | None

    @property
    def is_over(self) -> bool:
        """Whether it will not run any more."""
        return self.status in _OVER


class JobsApi:
    """Asks a cluster; one connection a question.

    Parameters
    ----------
    backend : Backend
    timeout_s : float
        Seconds to wait for a connection, and for every piece of an answer.

    Raises
    ------
    BackendError
        If the address is plain HTTP to another machine and nobody confirmed that.
    """

    def __init__(self, backend: Backend, timeout_s: float = 20.0) -> None:
        if is_plain_http_elsewhere(backend.address) and not backend.plain_http_confirmed:
            raise BackendError(PLAIN_HTTP)
        parts = urlsplit(backend.address)
        self.name = backend.name
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname or "", parts.port
        self._base = parts.path.rstrip("/")
        self._where = backend.address
        self._token = token_of(backend)
        self._ca = backend.ca
        self._timeout = timeout_s

    # ---- questions

    def version(self) -> Version:
        """What the cluster is.

        Raises
        ------
        Unreachable, Refused, NotRay
        """
        status, body = self._ask("GET", "/api/version")
        found = _object(body) if status == 200 else {}
        if not isinstance(found.get("ray_version"), str):
            raise NotRay(
                f"{self._where} answers, but it is no Ray cluster (no version under /api/version): give the address of Ray's "
                "dashboard, by default port 8265."
            )
        return Version(ray=shown(found["ray_version"], 40))

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes as the State API lists them, living ones only."""
        found = self._state("/api/v0/nodes", {"detail": "1", "limit": "1000"})
        rows = found.get("result")
        return (
            [row for row in rows if isinstance(row, dict) and row.get("state") == "ALIVE"]
            if isinstance(rows, list)
            else []
        )

    def hardware(self) -> list[dict[str, Any]]:
        """The nodes as their agents measure them: memory, graphics processors. Empty where that is not to be had."""
        status, body = self._ask("GET", "/nodes", query={"view": "summary"})
        data = _object(body).get("data") if status == 200 else None
        rows = data.get("summary") if isinstance(data, dict) else None
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def has_package(self, name: str) -> bool:
        """Whether the cluster holds a package."""
        status, body = self._ask("GET", f"/api/packages/gcs/{quote(name)}")
        if status in (200, 404):
            return status == 200
        raise self._failed("be asked for a package", status, body)

    def send_package(self, name: str, data: bytes) -> None:
        """Hand a package over."""
        try:
            status, body = self._ask("PUT", f"/api/packages/gcs/{quote(name)}", body=data)
        except Unreachable as error:
            # A server that finds a request too large may hang up in the middle of it.
            raise Unreachable(f"{error} That was while {len(data):,} bytes were being sent.") from error
        if status == 413 or b"Entity Too Large" in body:
            raise BackendError(
                f"{self._where} does not take a package of {len(data):,} bytes: where a reverse proxy stands before the cluster, "
                "raise its limit (nginx: client_max_body_size 100m)."
            )
        if status != 200:
            raise self._failed("take the job's files", status, body)

    def submit(self, request: Mapping[str, Any]) -> None:
        """Hand a job over."""
        status, body = self._ask("POST", "/api/jobs/", body=json.dumps(request).encode(), kind="application/json")
        if b"No available agent" in body:
            raise Unreachable(f"{self._where} answers, but no machine of the cluster takes jobs yet.")
        if status != 200:
            raise self._failed("take the job", status, body)

    def job(self, job: str) -> Job | None:
        """Where a job stands, None if the cluster knows no such job."""
        status, body = self._ask("GET", f"/api/jobs/{quote(job)}")
        if status == 404:
            return None
        found = _object(body) if status == 200 else {}
        if not isinstance(found.get("status"), str):
            raise self._failed("say where the job stands", status, body)
        node, code = found.get("driver_node_id"), found.get("driver_exit_code")
        return Job(
            status=found["status"][:20],
            message=str(found.get("message") or ""),
            node=node if isinstance(node, str) and node.isalnum() else None,
            exit_code=code if isinstance(code, int) else None,
        )

    def stop(self, job: str) -> None:
        """Ask a job to end; nothing if there is none."""
        status, body = self._ask("POST", f"/api/jobs/{quote(job)}/stop")
        if status not in (200, 404):
            raise self._failed("stop the job", status, body)

    def delete(self, job: str) -> None:
        """Forget a job that has ended."""
        self._ask("DELETE", f"/api/jobs/{quote(job)}")

    def output(self, job: str) -> str:
        """What a job has written to its standard output and error."""
        status, body = self._ask("GET", f"/api/jobs/{quote(job)}/logs")
        return str(_object(body).get("logs", "")) if status == 200 else ""

    def log_names(self, node: str, pattern: str) -> set[str]:
        """Names of files in the log folder of a node that fit a pattern."""
        found = self._state("/api/v0/logs", {"node_id": node, "glob": pattern})
        return {name for names in found.values() if isinstance(names, list) for name in names if isinstance(name, str)}

    def log_file(self, node: str, name: str, most_bytes: int) -> bytes:
        """A file of the log folder of a node.

        Raises
        ------
        BackendError
            If it is larger than it may be, or cannot be had.
        """
        query = {"node_id": node, "filename": name, "lines": "-1", "format": "text", "timeout": "60"}
        status, body = self._ask("GET", "/api/v0/logs/file", query=query, most_bytes=most_bytes)
        if status != 200:
            raise self._failed("hand over a part of the run", status, body)
        return body

    # ---- how it is asked

    def _state(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        status, body = self._ask("GET", path, query=query)
        found = _object(body)
        data = found.get("data")
        result = data.get("result") if isinstance(data, dict) else None
        if status != 200 or found.get("result") is False or not isinstance(data, dict):
            raise self._failed("say what it holds", status, body)
        return result if isinstance(result, dict) else {}

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        kind: str = "application/octet-stream",
        most_bytes: int = _MOST_JSON_BYTES,
    ) -> tuple[int, bytes]:
        headers = {"User-Agent": f"auditor/{__version__}", "Accept": "*/*"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["Content-Type"] = kind
        target = self._base + path + (f"?{urlencode(query)}" if query else "")
        connection = self._connection()
        try:
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
            status, data = answer.status, self._read(answer, most_bytes)
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(error.verify_message) from error
        except ssl.SSLError as error:
            raise NotRay(f"{self._where} does not speak HTTPS ({error.reason}): is it http:// there?") from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()
        if status in (401, 403):
            raise self._refused(status)
        if status in _GATEWAY:
            raise Unreachable(f"{self._where} answers, but the cluster behind it does not (HTTP {status}).")
        if 300 <= status < 400:
            raise NotRay(
                f"{self._where} sends elsewhere (HTTP {status}), which is not followed: give the address itself."
            )
        return status, data

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            try:
                context = trust(self._ca)
            except InputError as error:
                raise BackendError(f"{self._where} cannot be asked: {error}") from error
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def _read(self, answer: http.client.HTTPResponse, most_bytes: int) -> bytes:
        pieces, size, until = [], 0, time.monotonic() + _MOST_SECONDS
        while piece := answer.read1(_CHUNK):
            pieces.append(piece)
            size += len(piece)
            if size > most_bytes:
                raise BackendError(f"{self._where} sent more than the {most_bytes:,} bytes that the answer may have.")
            if time.monotonic() > until:
                raise Unreachable(f"{self._where} sends too slowly: an answer took more than {_MOST_SECONDS:.0f} s.")
        if answer.length:
            raise Unreachable(f"The connection to {self._where} broke in the middle of an answer.")
        return b"".join(pieces)

    def _untrusted(self, why: str) -> BackendError:
        told = f"The certificate of {self._where} cannot be trusted ({why})"
        if self._ca:
            return BackendError(
                f"{told}: {self._ca} alone is trusted for it. Name the certificate of the authority that signed it (--ca), and "
                "the address by a name that it is for."
            )
        return BackendError(
            f"{told}: have the reverse proxy send one that this machine knows, or name the certificate of your own authority: "
            f"auditor backends add {self.name} ADDRESS --ca FILE --replace (in the window: Backends, Change…), or SSL_CERT_FILE."
        )

    def _unreachable(self, error: Exception) -> BackendError:
        if isinstance(error, TimeoutError):
            why = f"no answer within {self._timeout:g} s"
        elif isinstance(error, socket.gaierror):
            why = "there is no machine of that name"
        elif isinstance(error, ConnectionRefusedError):
            why = "nothing listens there"
        elif isinstance(error, http.client.BadStatusLine) and not isinstance(error, http.client.RemoteDisconnected):
            return NotRay(f"{self._where} answers, but does not speak HTTP: give the address of Ray's dashboard.")
        else:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Unreachable(
            f"{self._where} cannot be reached ({why}): see that the cluster is running and that its dashboard listens at this "
            "address."
        )

    def _refused(self, status: int) -> Refused:
        if self._token:
            return Refused(
                f"{self._where} does not accept the token (HTTP {status}): give the one that `ray get-auth-token` prints on the "
                "cluster."
            )
        return Refused(
            f"{self._where} asks for a token (HTTP {status}): give the one that `ray get-auth-token` prints there."
        )

    def _failed(self, what: str, status: int, body: bytes) -> BackendError:
        return BackendError(f"{self._where} could not {what} (HTTP {status}: {last_words(_told(body))}).")


def last_words(text: str) -> str:
    """The last line of a text that says anything, short and printable."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return shown(lines[-1]) if lines else "no explanation"


def shown(text: str, most: int = 300) -> str:
    """A text from the cluster as one short printable line, without quotation marks."""
    return printable(text, most)[1:-1]


def _told(body: bytes) -> str:
    found = _object(body)
    return str(found.get("msg") or found.get("message") or "") or body[:20_000].decode("utf-8", "replace")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
