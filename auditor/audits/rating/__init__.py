"""Rate conversations with a judge model."""
