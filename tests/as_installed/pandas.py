"""pandas as people have it who install Auditor: not at all.

pyarrow imports it wherever it can, which takes a third of a second in every process that tests start.
"""

raise ModuleNotFoundError("pandas is for the tests' own process", name="pandas")
