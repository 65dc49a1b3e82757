"""The command as people call it, in a process of its own."""

import signal
import subprocess
import sys


def auditor(*arguments: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "auditor", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def started(*arguments: object) -> subprocess.Popen[str]:
    """The command at work, as a terminal starts it: Ctrl+C reaches it, even if whoever runs the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "auditor", *map(str, arguments)], stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
