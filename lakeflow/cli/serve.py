"""`lakeflow serve`: caches over HTTP."""

from __future__ import annotations

import click

from lakeflow.cli.options import root_option

__all__ = ["serve_command"]


@click.command("serve")
@root_option
@click.pass_context
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="How many processes answer.")
@click.option("--token-file", metavar="FILE", help="Holds the token that requests carry; else $LAKEFLOW_SERVE_TOKEN.")
@click.option("--unprotected", is_flag=True, help="Serve to a network without a token.")
@click.option("--require", metavar="NAME", multiple=True, help="Not ready without this cache; may be repeated.")
@click.option(
    "--drain-seconds",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0),
    help="How long requests are still answered after SIGTERM, while /readyz says 503.",
)
@click.option("--access-log/--no-access-log", default=True, help="A line of JSON for each request, on standard output.")
def serve_command(
    context: click.Context,
    root: str | None,
    host: str,
    port: int,
    workers: int,
    require: tuple[str, ...],
    token_file: str | None,
    drain_seconds: float,
    *,
    unprotected: bool,
    access_log: bool,
) -> None:
    """Answer look-ups in caches over HTTP, until Ctrl-C."""
    from lakeflow.cache.shelves import absolute_root
    from lakeflow.serve.bearer import find_token
    from lakeflow.serve.server import is_loopback, run

    folder = absolute_root(root)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"Caches of {folder} at http://{shown}:{port}/v1/caches/NAME/KEY (Ctrl-C ends it)", err=True)
    token = find_token(token_file)
    if unprotected and token is None and not is_loopback(host):
        click.secho(
            f"Anyone who reaches {shown}:{port} can read every cache: there is no token.", fg="yellow", err=True
        )
    run(
        folder,
        host=host,
        port=port,
        workers=workers,
        require=require,
        token=token,
        unprotected=unprotected,
        drain_seconds=drain_seconds,
        access_log=access_log,
        storage=context.obj["properties"],
    )
