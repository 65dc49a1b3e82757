"""What lasts: inputs by hash, runs, human judgements, evidence chain."""

from auditor.case.case import Case, RunSummary
from auditor.case.lock import CaseLocked
from auditor.case.verify import Verification, verify

__all__ = ["Case", "CaseLocked", "RunSummary", "Verification", "verify"]
