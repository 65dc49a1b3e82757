"""Tests of paired answers.

References
----------
[1] Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947) 153-157; here in its exact form, a binomial test of the units on which one side alone is right.
"""


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value of McNemar's test [1]; 1 where the two sides are never right apart.

    Parameters
    ----------
    only_a, only_b : int
        Units on which one side alone is right. Units are independent of each other.
    """
    from scipy.stats import binomtest

    n = only_a + only_b
    return float(binomtest(only_a, n, 0.5).pvalue) if n else 1.0
