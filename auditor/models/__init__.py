"""Language models: files on disk, and what can be known of them without running them.

Nothing here loads native model code; `auditor.models.llama` does, and only worker processes import it.
"""

from auditor.models.file import ModelFile

__all__ = ["ModelFile"]
