"""How a job ended, in sentences, where the job itself could not or need not say it."""

import re

from auditor import __version__
from auditor.errors import SIGNALS, printable
from auditor.runs.ray.jobs_api import Job, last_words
from auditor.runs.ray.parts import EndPart

_NO_AUDITOR = re.compile(r"No module named '?auditor|python: (command )?not found")
_NO_MEMORY = re.compile(r"(?i)out of memory|OutOfMemory|node_out_of_memory|\bOOM\b|low on memory|Memory on the node")
_KILLED = re.compile(r"exit code (-9|137)\b")
_KEPT = "What arrived is kept."


def explained(job: Job, name: str) -> str:
    """Why a job is over that has left no last word, as far as Ray tells.

    Parameters
    ----------
    job : Job
    name : str
        Of the backend.
    """
    if job.status == "STOPPED":
        return f"Somebody stopped the job on {name}. {_KEPT}"
    if _NO_AUDITOR.search(job.message):
        return (
            f"Auditor is not installed on {name}, in the Python that `python` means for Ray there: install auditor[ray] "
            f"{__version__} and start Ray from that environment."
        )
    if _NO_MEMORY.search(job.message):
        return (
            f"The memory of the machine in {name} ran out, so Ray ended the job: choose a smaller model or batch, or a larger "
            f"machine. {_KEPT}"
        )
    if job.exit_code == -9 or _KILLED.search(job.message):
        return f"The job on {name} ended: {SIGNALS['SIGKILL']}. {_KEPT}"
    if "failed to start within" in job.message:
        return (
            f"{name} had no place for the run for too long (a processor, and a graphics processor where it has any): see what "
            "runs there, then resume."
        )
    return f"The job on {name} ended without a result: {last_words(job.message).rstrip('.')}. {_KEPT}"


def left_there(end: EndPart, name: str) -> str:
    """Which files stay on the cluster since they are too large."""
    left = "; ".join(
        f"{printable(file.path)} ({file.bytes:,} bytes) at {printable(file.place, 300)}" for file in end.left
    )
    return (
        f"The run is finished on {name}, and everything but its largest files arrived. They stay there, since they are larger "
        f"than what is fetched: {left}. To fetch them too, set AUDITOR_RAY_MOST_BYTES to a larger number and resume the run."
    )
