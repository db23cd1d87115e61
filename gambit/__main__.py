"""`python -m gambit` and the `gambit` command."""

import sys

from gambit.cli.program import run


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run())


if __name__ == "__main__":
    main()
