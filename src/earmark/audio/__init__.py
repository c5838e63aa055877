"""Sound in: decode anything, look for trouble, listen to a microphone. Importing this package loads no decoder."""
