"""Models for other places: the same answers in fewer bits."""
