"""The ``earmark`` command, and ``python -m earmark``, which is the same."""

import os
import signal
import sys

INTERRUPTED = 130
"""The exit status after Ctrl-C."""


def main() -> None:
    """Run the command line; a Ctrl-C while it is still being loaded ends it like any other."""
    try:
        from earmark.cli.app import main as run

        run()
    except KeyboardInterrupt:
        print("earmark: stopped", file=sys.stderr, flush=True)
        os._exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said: the exit status shall tell how it went


if __name__ == "__main__":
    main()
