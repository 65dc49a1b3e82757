"""Whom a connection with HTTPS trusts: the authorities that this machine knows, or the one that a backend names.

References
----------
Python, module ssl: ``create_default_context(cafile=...)`` trusts the certificates of that file and no others; where none is
named, OpenSSL's usual places hold, and ``SSL_CERT_FILE`` in place of them.
"""

import ssl
from pathlib import Path

from auditor.errors import InputError

_FIX = "Give the file in PEM format that begins with -----BEGIN CERTIFICATE-----, of the authority that signed the proxy's."


def trust(ca: str | None) -> ssl.SSLContext:
    """What certificates of servers are checked with.

    Parameters
    ----------
    ca : str or None
        PEM file with the certificates that are trusted, and no others; None for those that this machine knows.

    Raises
    ------
    InputError
        If the file cannot be read, or holds no certificate.
    """
    if ca is None:
        return ssl.create_default_context()
    if Path(ca).is_dir():
        raise InputError("This is a folder, not a file", file=ca, fix=_FIX)
    try:
        context = ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise InputError("The file holds no certificate of an authority", file=ca, fix=_FIX) from error
    except OSError as error:
        problem = "The certificate of the authority cannot be read"
        raise InputError(f"{problem}: {error.strerror or error}", file=ca, fix=_FIX) from error
    if not context.cert_store_stats()["x509"]:
        raise InputError("The file holds no certificate of an authority", file=ca, fix=_FIX)
    return context
