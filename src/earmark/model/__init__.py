"""Models: the one-file format, its card, the runtimes, YAMNet, and the hub of known models."""
