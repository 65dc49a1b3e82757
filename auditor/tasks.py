"""Short questions that the window asks a process of their own: previews, figures, reports."""
