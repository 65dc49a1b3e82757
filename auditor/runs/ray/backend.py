"""What is kept of a cluster on which runs can be carried out."""

import ipaddress
import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from auditor.errors import BackendError
from auditor.runs.executor import LOCAL

_NAME = re.compile(r"[a-z0-9-]{1,32}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")
#: How the variable is called that holds a backend's token instead of the file, before the name of the backend.
_VARIABLE = "AUDITOR_RAY_TOKEN_"


class Backend(BaseModel):
    """A Ray cluster, by the address of its Jobs API.

    Raises
    ------
    ValueError
        With a sentence, by field; and where the token would go over plain HTTP to another machine unconfirmed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(description="Name of the backend: small letters, digits and hyphens.")
    address: str = Field(description="Address of the Jobs API, or of the reverse proxy before it: https://host:port.")
    token: str | None = Field(default=None, repr=False, description="Token of the cluster, where it asks for one.")
    ca: str | None = Field(
        default=None,
        description="PEM file with the certificate of your own authority, where that signed the one of https://; no other is "
        "trusted then.",
    )
    shared: str | None = Field(
        default=None, description="Folder that this machine and the cluster see under the same path, for models."
    )
    cache: str | None = Field(
        default=None,
        description="Folder on the cluster where models lie under their SHA-256: HASH.gguf, or a folder HASH.",
    )
    plain_http_confirmed: bool = Field(
        default=False, description="Whether unencrypted HTTP to another machine is meant."
    )

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if not _NAME.fullmatch(name) or name == LOCAL:
            raise ValueError(
                f"A backend's name has up to 32 small letters, digits and hyphens, and is not {LOCAL!r}: for example "
                "gpu-1."
            )
        return name

    @field_validator("address")
    @classmethod
    def _is_address(cls, address: str) -> str:
        address = address.strip().rstrip("/")
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError:
            raise ValueError(_NO_ADDRESS) from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise ValueError(_NO_ADDRESS)
        if parts.username is not None or parts.query or parts.fragment or not address.isprintable() or " " in address:
            raise ValueError(
                "An address holds neither names nor passwords nor a query: the token has a place of its own."
            )
        return address

    @field_validator("token")
    @classmethod
    def _is_token(cls, token: str | None) -> str | None:
        token = token.strip() if token else None
        if token and not _TOKEN.fullmatch(token):
            raise ValueError(
                "A token is one line of plain characters without spaces, as `ray get-auth-token` prints it."
            )
        return token or None

    @field_validator("ca")
    @classmethod
    def _is_file_here(cls, ca: str | None, info: ValidationInfo) -> str | None:
        # Whether it holds a certificate is looked at where it is named and used: a list of backends outlives its files.
        if ca and not Path(ca).is_absolute():
            raise ValueError("The file of an authority is written as a whole path.")
        if ca and not str(info.data.get("address", "https:")).startswith("https:"):
            raise ValueError("An authority's certificate is for an address that begins with https://.")
        return ca or None

    @field_validator("shared")
    @classmethod
    def _is_folder_here(cls, shared: str | None) -> str | None:
        if shared and not Path(shared).is_absolute():
            raise ValueError("The shared folder is written as a whole path, the same on both machines.")
        return shared or None

    @field_validator("cache")
    @classmethod
    def _is_folder_there(cls, cache: str | None) -> str | None:
        if cache and not (PurePosixPath(cache).is_absolute() or PureWindowsPath(cache).is_absolute()):
            raise ValueError("The folder of models on the cluster is written as a whole path.")
        return cache or None

    @model_validator(mode="after")
    def _is_confirmed(self) -> "Backend":
        if is_plain_http_elsewhere(self.address) and not self.plain_http_confirmed:
            raise ValueError(PLAIN_HTTP)
        return self


_NO_ADDRESS = "An address is written http://127.0.0.1:8265 or https://host:port."
PLAIN_HTTP = (
    "Plain HTTP to another machine sends the token, the inputs and the results unencrypted: put a reverse proxy with HTTPS "
    "before the cluster, or confirm that this network may see them."
)


def is_plain_http_elsewhere(address: str) -> bool:
    """Whether an address is unencrypted HTTP to a machine other than this one."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return False
    if parts.scheme != "http" or not parts.hostname:
        return False
    if parts.hostname == "localhost":
        return False
    try:
        return not ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return True


def token_of(backend: Backend) -> str | None:
    """The token to connect with: that of the environment before the one that is kept.

    Raises
    ------
    BackendError
        If the one of the environment cannot be a token.
    """
    variable = _VARIABLE + backend.name.upper().replace("-", "_")
    given = os.environ.get(variable, "").strip()
    if given and not _TOKEN.fullmatch(given):
        raise BackendError(f"The variable {variable} holds no token: one line of plain characters without spaces.")
    return given or backend.token
