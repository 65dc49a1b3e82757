"""A real Ray head on loopback, started for tests and ended with everything that belongs to it."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from auditor.errors import BackendError
from auditor.runs.ray.backend import Backend
from auditor.runs.ray.jobs_api import JobsApi

_START_SECONDS, _STARTS = 90.0, 3


class Head:
    """A head node that asks for a token; its runs lie under `home`."""

    def __init__(self, python_path: Path) -> None:
        # Sockets of Ray lie in this folder, and their paths must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
        self.home = self.folder / "home"
        self.token = secrets.token_hex(16)
        self._python_path = python_path
        self._ports = _free_ports(5)
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"http://127.0.0.1:{self._ports[1]}"

    def backend(self, token: str | None = None, **more: str) -> Backend:
        return Backend(name="there", address=self.address, token=token or self.token, **more)

    def start(self) -> None:
        port, dashboard, agent, grpc, client = self._ports
        command = [
            *(str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", "--node-ip-address=127.0.0.1"),
            *(f"--port={port}", f"--dashboard-port={dashboard}", "--dashboard-host=127.0.0.1"),
            *(f"--dashboard-agent-listen-port={agent}", f"--dashboard-agent-grpc-port={grpc}"),
            *(f"--ray-client-server-port={client}", "--include-dashboard=true", "--num-cpus=4", "--num-gpus=0"),
            *("--object-store-memory=80000000", "--disable-usage-stats", f"--temp-dir={self.folder / 't'}"),
        ]
        environment = os.environ | {
            "AUDITOR_HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self._python_path),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            # No workers in advance, one for every processor: a test needs one or two.
            "RAY_prestart_worker_first_driver": "0",
        }
        log = self.folder / "start.log"
        for _ in range(_STARTS):
            with log.open("wb") as out:
                self._process = subprocess.Popen(
                    command, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
                )
            if self._answers():
                return
            # Ray gives up after 30 s, which a machine that does much else may need.
            self.kill()
        raise AssertionError(log.read_text(errors="replace")[-4000:])

    def _answers(self) -> bool:
        """Whether it has a node that lives, before it gives up."""
        assert self._process is not None
        api, until = JobsApi(self.backend()), time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            try:
                if api.nodes():
                    return True
            except BackendError:
                pass
            time.sleep(0.2)
        return False

    def kill(self) -> None:
        """Kill everything that belongs to it at once, as a machine that loses its power."""
        for process in self._processes():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        if self._process is not None:
            self._process.wait(30)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _processes(self) -> list[psutil.Process]:
        """Those started here and their children; and such as have lost their parent but name this head's folder."""
        found = []
        if self._process is not None and self._process.poll() is None:
            own = psutil.Process(self._process.pid)
            found = [own, *own.children(recursive=True)]
        for process in psutil.process_iter(["cmdline", "environ"]):
            named = " ".join(process.info["cmdline"] or ())
            if str(self.folder) in named or (process.info["environ"] or {}).get("AUDITOR_HOME") == str(self.home):
                found.append(process)
        return found


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
