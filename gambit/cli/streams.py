"""The standard streams of whoever started gambit with one of them closed: nothing in its place.

A supervisor or a shell (`>&-`) may close them. Then Python has None for the stream, and the next file that is opened
takes its number: what C libraries print to number 2 would end up in a journal.
"""

import os
import sys

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
READER_GONE = 141  # exit code: whoever read the output went away


def open_closed() -> None:
    """Put /dev/null in the place of each standard stream that is closed; call it before anything else is opened."""
    for number, (name, mode) in enumerate(STREAMS):
        if getattr(sys, name) is not None:
            continue
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
        os.set_inheritable(number, True)  # children have one too
        stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - it lives as long as the process
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def silence_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter's last flush does not complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
