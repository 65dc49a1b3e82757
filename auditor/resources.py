"""Where the shipped rubrics, samples, icons and templates lie."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def resource(*parts: str) -> Path:
    """Path of a shipped resource.

    A wheel carries the top-level ``resources/`` folder as ``auditor/_resources``; a checkout
    (editable install) uses the folder itself.

    Parameters
    ----------
    *parts : str
        Path components below ``resources/``, for example ``"rubrics", "default.toml"``.

    Raises
    ------
    FileNotFoundError
        If the installation lacks the resource.
    """
    installed = _PACKAGE / "_resources"
    root = installed if installed.is_dir() else _PACKAGE.parent / "resources"
    path = root.joinpath(*parts)
    if not path.exists():
        raise FileNotFoundError(f"The installation lacks its resource {'/'.join(parts)}: reinstall Auditor.")
    return path
