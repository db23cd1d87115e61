"""`gambit replay`: recorded frames through the adapters, books and engine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from gambit.cli import interrupts
from gambit.cli.options import Failure, load_config, with_config
from gambit.cli.progress import Progress

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

WRITE_BUFFER_BYTES = 1 << 20


def symbol_list(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    """`BTC-USDT,ETH-USDT` as a tuple of symbols; None when the option was not given."""
    from gambit.config.consistency import is_symbol

    if text is None:
        return None
    symbols = tuple(part.strip() for part in text.split(",") if part.strip())
    for symbol in symbols:
        if not is_symbol(symbol):
            raise click.BadParameter(f"{symbol!r} is not a symbol: BASE-QUOTE[-SUFFIX], upper case", ctx, param)
    if not symbols:
        raise click.BadParameter("names no symbol", ctx, param)
    return symbols


@click.command("replay")
@click.argument(
    "files",
    nargs=-1,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
)
@with_config
@click.option("--symbols", callback=symbol_list, metavar="A,B", help="Only these symbols, such as BTC-USDT,ETH-USDT.")
@click.option(
    "--emit",
    type=click.Choice(["opportunities", "ticks", "books", "stats"]),
    default="opportunities",
    show_default=True,
    help="What to write, one JSON object a line.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Default: stdout."
)
@click.option("--strict", is_flag=True, help="Stop at the first bad line of a file.")
@click.option(
    "--verify",
    "session",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Replay a session of `gambit record` and fail at the first decision that is not reproduced byte for byte.",
)
def replay(
    files: tuple[Path, ...],
    config_path: Path | None,
    overrides: tuple[str, ...],
    symbols: tuple[str, ...] | None,
    emit: str,
    output: Path | None,
    strict: bool,
    session: Path | None,
) -> int:
    """Run captures through the adapters, books and engine, as fast as they go.

    Captures are JSON lines, plain, .zst or .gz; several are merged by receive time. Same input and configuration,
    byte-identical output (but for --emit stats). Exit code 1 when a file is truncated or cannot be read to its end.
    """
    if session is not None:
        if files or config_path or overrides or output:
            raise click.UsageError("--verify DIR takes its frames and its configuration from the session alone")
        return verify_session(session)
    if not files:
        raise click.UsageError("Missing argument 'FILE...'.")
    config = load_config(config_path, overrides).config
    refuse_overwriting(files, output)
    from gambit.runtime.replay import ReplayError
    from gambit.runtime.replay import replay as run_replay

    with interrupts.heeded(), sink(output) as out, Progress.on_terminal(is_shared=output is None) as progress:
        try:
            result = run_replay(
                files,
                config,
                symbols=symbols,
                emit=emit,
                out=out,
                strict=strict,
                on_progress=progress.update,
                warn=progress.print,
            )
        except ReplayError as error:
            raise Failure(str(error)) from error
    exit_code: int = result.exit_code
    return exit_code


def verify_session(folder: Path) -> int:
    """Say whether a recorded session is reproduced; exit code 1 with the first difference when it is not."""
    from gambit.runtime.recorder import RecorderError
    from gambit.runtime.replay import ReplayError
    from gambit.runtime.verification import verify

    with interrupts.heeded(), Progress.on_terminal(is_shared=True) as progress:
        try:
            verdict = verify(folder, on_progress=progress.update, warn=progress.print)
        except (RecorderError, ReplayError) as error:
            raise Failure(str(error)) from error
    if verdict.difference is not None:
        raise Failure(f"not reproduced, after {verdict.decisions:,} decisions that agree: {verdict.difference}")
    click.echo(
        f"{folder}: {verdict.decisions:,} decisions from {verdict.frames:,} frames, each byte as it was recorded"
    )
    return 0


def refuse_overwriting(files: tuple[Path, ...], output: Path | None) -> None:
    """Raise UsageError when the output is one of the inputs: opening it would empty it."""
    if output is not None and output.exists() and any(file.samefile(output) for file in files):
        raise click.UsageError(f"{output} is an input too; writing to it would destroy it")


def own_stdout() -> BinaryIO:
    """Standard output through a buffer of our own: the interpreter's may be switched off, and then writes in part, or
    try once more at exit what failed before."""
    sys.stdout.flush()
    return BufferedWriter(_Named(sys.stdout.fileno(), "stdout"), WRITE_BUFFER_BYTES)


class _Named(FileIO):
    """A file whose errors say which one it is; a descriptor stays open."""

    def __init__(self, file: Path | int, label: str) -> None:
        super().__init__(file, "wb", closefd=isinstance(file, Path))
        self.label = label

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.label) from error


@contextmanager
def sink(output: Path | None) -> Iterator[BinaryIO]:
    """Where the lines go; whatever ends the run, what was written until then is flushed."""
    if output is None:
        with own_stdout() as stream:
            yield stream
        return
    try:
        file = BufferedWriter(_Named(output, str(output)), WRITE_BUFFER_BYTES)
    except OSError as error:
        raise Failure(f"{output}: {error.strerror}") from error
    with file:
        yield file
