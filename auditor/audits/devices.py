"""Who starts the processes of a training that takes several devices, where that is not torchrun on this machine.

Whoever carries out a run on a cluster names a module in a variable of the worker's environment. An audit then starts
``python -m LAUNCHER DEVICES KIND MODULE FILE`` in place of torchrun: it has to call ``MODULE.carry_out(FILE)`` in so many
processes, with a device of the kind ("cpu" or "cuda") each, in an environment as torchrun makes it, and with the variables
that the audit has set for it.
"""

import os

_LAUNCHER = "AUDITOR_DEVICES_LAUNCHER"


def launcher() -> str:
    """Name of the module, empty where torchrun starts them."""
    return os.environ.get(_LAUNCHER, "")


def launched_by(module: str) -> dict[str, str]:
    """What a worker's environment holds where a module starts them."""
    return {_LAUNCHER: module}
