"""The entry point: global options, and how every failure leaves the program.

Exit codes: 0 done; 1 something failed (store, data, a run and its function); 2 the call must be changed; 130 Ctrl-C.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import click

from lakeflow import __version__
from lakeflow.cli.caches import cache_group
from lakeflow.cli.demo import demo_command
from lakeflow.cli.report import report_command, reproduce_command
from lakeflow.cli.run import resume_command, run_command
from lakeflow.cli.runs import runs_group
from lakeflow.cli.scan import scan_command
from lakeflow.cli.serve import serve_command
from lakeflow.cli.shards import shards_command
from lakeflow.cli.tables import describe_command, head_command, tables_command
from lakeflow_io.errors import FunctionError, InputError, InternalError, LakeflowError, RunInterruptedError

__all__ = ["main"]

_INTERRUPTED = 130  # 128 and the number of SIGINT


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lakeflow")
@click.option("--catalog", metavar="NAME", help="A catalog of the pyiceberg configuration; default the embedded one.")
@click.option(
    "-p",
    "--property",
    "properties",
    metavar="KEY=VALUE",
    multiple=True,
    help="A catalog property, such as uri=http://localhost:8181; may be repeated.",
)
@click.option("--debug", is_flag=True, help="Show tracebacks and log messages.")
@click.pass_context
def cli(context: click.Context, catalog: str | None, properties: tuple[str, ...], *, debug: bool) -> None:
    """A batch engine for the data lakehouse."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    if debug:
        for chatty in ("urllib3", "botocore", "asyncio", "distributed"):
            logging.getLogger(chatty).setLevel(logging.INFO)
    context.obj = {"catalog": catalog, "properties": dict(_pair(each) for each in properties)}


cli.add_command(tables_command)
cli.add_command(describe_command)
cli.add_command(head_command)
cli.add_command(scan_command)
cli.add_command(shards_command)
cli.add_command(run_command)
cli.add_command(resume_command)
cli.add_command(runs_group)
cli.add_command(report_command)
cli.add_command(reproduce_command)
cli.add_command(cache_group)
cli.add_command(serve_command)
cli.add_command(demo_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    # pyiceberg warns on standard error about things its user can't act on from here.
    logging.getLogger("pyiceberg").setLevel(logging.ERROR)
    try:
        cli.main(args=_debug_first(given), prog_name="lakeflow", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except RunInterruptedError as error:
        _fail(error, debug=debug)
        sys.exit(_INTERRUPTED)
    except LakeflowError as error:
        _fail(error, debug=debug)
        sys.exit(2 if isinstance(error, InputError) and not isinstance(error, FunctionError) else 1)
    except (KeyboardInterrupt, click.Abort) as error:
        _fail(
            KeyboardInterrupt("Interrupted. Nothing is half-committed; the same command goes on where it stopped."),
            debug=False,
        )
        raise SystemExit(_INTERRUPTED) from error
    except BrokenPipeError:
        # The reader of our output is gone (`| head`); Python would complain while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(error, debug=debug)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  (the last resort: a person gets a sentence, not a traceback)
        said = f"{type(error).__name__}: {error}"
        ours = InternalError(said, "this is a mistake in lakeflow: please report it with what --debug shows.")
        _fail(error if debug else ours, debug=debug)
        sys.exit(1)


def _debug_first(arguments: list[str]) -> list[str]:
    """`--debug` may stand anywhere: people add it to the end of what just failed."""
    return ["--debug"] * ("--debug" in arguments) + [each for each in arguments if each != "--debug"]


def _fail(error: BaseException, *, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exception(error)
        function_trace = getattr(error, "traceback_text", "")
        if function_trace:
            click.echo(function_trace, err=True)
        return
    message, _, hint = str(error).partition("\nHint: ")
    click.secho("Error: ", fg="red", nl=False, err=True)
    click.echo(message, err=True)
    if hint:
        click.secho("Hint: ", fg="yellow", nl=False, err=True)
        click.echo(hint, err=True)


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f"{text!r} is no property: write KEY=VALUE.")
    return key, value
