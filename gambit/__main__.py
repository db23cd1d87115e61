"""`python -m gambit` and the `gambit` command."""

import sys

from gambit.cli import interrupts, streams


def main() -> None:
    """Run the command line and leave with its exit code."""
    interrupts.leave_at_once()
    streams.open_closed()
    from gambit.cli.program import run  # only now: loading it takes a while, in which Ctrl-C must not show

    sys.exit(run())


if __name__ == "__main__":
    main()
