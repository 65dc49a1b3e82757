"""Statistics with guarantees: bootstrap, agreement, risk bounds, permutation, multiplicity."""
