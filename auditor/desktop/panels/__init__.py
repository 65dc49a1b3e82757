"""One file a page of the rail."""
