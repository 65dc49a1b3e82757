"""What is known of a model file, or of a folder of weights."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

#: What a file can be requantised to.
Kind = Literal["Q4_0", "Q8_0", "BF16"]
#: Key in a requantised file under which the SHA-256 of its original stands: provenance travels with the file.
MADE_FROM_KEY = "auditor.made_from_sha256"
#: Key in an exported file under which the SHA-256 of the model stands that it was trained from.
TRAINED_FROM_KEY = "auditor.trained_from_sha256"
#: Hash of the starter model's file, so that what was made from it is known as such.
STARTER_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


class Requantised(BaseModel):
    """How a file that was optimised for a machine compares with the file it was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    original_name: str = Field(description="Name of the original in the library at that time.")
    least_agreement: float = Field(description="Tolerance: least share of ratings in agreement, near ties among them.")
    near_tie: float = Field(description="Tolerance: probabilities this close make a near tie.")
    most_difference: float = Field(description="Tolerance: mean absolute difference of expected scores.")
    same_mode: float = Field(description="Measured share of ratings with the same most probable score.")
    same_or_near: float = Field(description="The same with near ties.")
    difference: float = Field(description="Measured mean absolute difference of expected scores.")
    ratings: int = Field(ge=1, description="Ratings that were compared.")
    sample: str = Field(description="What was rated, in words.")
    tokens_per_s: float = Field(description="Median prefill rate of this file, tokens per second.")
    original_tokens_per_s: float = Field(description="The same of the original, measured in turns with it.")
    machine: str = Field(description="Processor on which it was measured.")


class ModelFile(BaseModel):
    """A model file or folder in the library, or given by path; the record that a run keeps of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Name in the library.")
    format: Literal["gguf", "folder"] = Field(
        default="gguf",
        description="A GGUF file, or a folder as transformers writes it: config, tokenizer, safetensors.",
    )
    path: Path = Field(description="Where the file or folder lies on this machine.")
    sha256: str = Field(
        description="Hash of the file when it was added; of a folder, over the names and hashes of the files that "
        "matter. Checked again whenever it is loaded."
    )
    size_bytes: int = Field(ge=0)
    held: Literal["reference", "copy", "starter"] = Field(
        default="reference", description="Used where it lies, copied into the library, or the installed starter model."
    )
    architecture: str = Field(default="", description="Architecture as the file names it, e.g. 'llama'.")
    quantisation: str = Field(default="", description="Quantisation of the weights, e.g. 'Q4_K_M'.")
    parameters: int = Field(default=0, ge=0, description="Number of weights.")
    context_length: int = Field(default=0, ge=0, description="Tokens the model was trained to attend to.")
    layers: int = Field(default=0, ge=0)
    embedding: int = Field(default=0, ge=0, description="Width of the residual stream.")
    feed_forward: int = Field(default=0, ge=0, description="Width of the feed-forward layers; 0 if not known.")
    heads: int = Field(default=0, ge=0)
    kv_heads: int = Field(default=0, ge=0)
    head_dim: int = Field(default=0, ge=0, description="Width of one attention head.")
    vocabulary: int = Field(default=0, ge=0, description="Number of tokens.")
    repacked_bytes: int = Field(
        default=0,
        ge=0,
        description="Part of the weights that llama.cpp holds a second time, rearranged for the processor.",
    )
    has_chat_template: bool = False
    licence: str = Field(default="", description="Licence as the file states it, else 'not stated'.")

    made_from: str = Field(default="", description="SHA-256 of the file it was requantised from; empty if it was not.")
    trained_from: str = Field(
        default="", description="SHA-256 of the model that the program trained it from; empty if it did not."
    )
    requantised: Requantised | None = Field(default=None, description="What was measured when it was requantised.")

    @property
    def is_starter(self) -> bool:
        """Whether this is the model that ships for trying the program, or made from it: its scores are no evidence."""
        return self.held == "starter" or STARTER_SHA256 in (self.made_from, self.trained_from)


def origin(model: ModelFile) -> str:
    """What stands in a file as the model it was trained from: the starter's hash for everything that was made from it."""
    return STARTER_SHA256 if model.is_starter else model.sha256
