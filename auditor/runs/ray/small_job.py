"""Small jobs that ask a cluster something: followed until they are over, and taken away again."""

import time

from auditor.errors import BackendError
from auditor.runs.ray.jobs_api import JobsApi, last_words

_PACE_SECONDS = 0.5


def output_of(api: JobsApi, job: str, *, seconds: float, could_not: str) -> str | None:
    """What a job that was submitted prints, once it is over; then it is deleted.

    Parameters
    ----------
    job : str
        Its id.
    seconds : float
        How long to wait.
    could_not : str
        What is said if it fails, such as "could not run a small job".

    Returns
    -------
    str or None
        None if it is not over by then: it is stopped.

    Raises
    ------
    BackendError
        If it fails.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = api.job(job)
        if found is None:
            break
        if found.is_over:
            output = api.output(job)
            api.delete(job)
            if found.status != "SUCCEEDED":
                raise BackendError(f"{api.name} {could_not}: {last_words(found.message)}.")
            return output
        time.sleep(_PACE_SECONDS)
    api.stop(job)
    return None
