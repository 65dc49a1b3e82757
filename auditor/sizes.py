"""The one spelling of how many bytes something takes, for people."""

_KIB, _MIB, _GIB = 1024, 1024**2, 1024**3
#: From here on two decimals of a GiB have two digits that tell something.
_LEAST_GIB = 0.1


def size_words(n_bytes: int, digits: int = 2) -> str:
    """Bytes in GiB; below a tenth of one in MiB, and below one of those in KiB, so that little is never told as nothing.

    Parameters
    ----------
    n_bytes : int
    digits : int
        Decimals of GiB.
    """
    if n_bytes >= _LEAST_GIB * _GIB:
        return f"{n_bytes / _GIB:,.{digits}f} GiB"
    if n_bytes >= _MIB:
        return f"{n_bytes / _MIB:.{1 if n_bytes < 10 * _MIB else 0}f} MiB"
    return f"{-(-n_bytes // _KIB)} KiB"
