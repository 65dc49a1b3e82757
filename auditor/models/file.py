"""What is known of a model file."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ModelFile(BaseModel):
    """A model file in the library, or given by path; the record that a run keeps of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Name in the library.")
    path: Path = Field(description="Where the file lies on this machine.")
    sha256: str = Field(description="Hash of the file when it was added; checked again whenever it is loaded.")
    size_bytes: int = Field(ge=0)
    held: Literal["reference", "copy", "starter"] = Field(
        default="reference", description="Used where it lies, copied into the library, or the installed starter model."
    )
    architecture: str = Field(default="", description="general.architecture of the file, e.g. 'llama'.")
    quantisation: str = Field(default="", description="Quantisation of the weights, e.g. 'Q4_K_M'.")
    parameters: int = Field(default=0, ge=0, description="Number of weights.")
    context_length: int = Field(default=0, ge=0, description="Tokens the model was trained to attend to.")
    layers: int = Field(default=0, ge=0)
    embedding: int = Field(default=0, ge=0, description="Width of the residual stream.")
    heads: int = Field(default=0, ge=0)
    kv_heads: int = Field(default=0, ge=0)
    head_dim: int = Field(default=0, ge=0, description="Width of one attention head.")
    vocabulary: int = Field(default=0, ge=0, description="Number of tokens.")
    has_chat_template: bool = False
    licence: str = Field(default="", description="Licence as the file states it, else 'not stated'.")

    @property
    def is_starter(self) -> bool:
        """Whether this is the model that ships for trying the program, whose scores are no evidence."""
        return self.held == "starter"
