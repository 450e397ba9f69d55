"""`bigcell view`: look at an image and its labels in the browser."""

from __future__ import annotations

import getpass
import os
import shlex
import socket
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from bigcell.cli.ending import ENDING

if TYPE_CHECKING:
    from bigcell.viewers.neuroglancer import View


def view(
    store: Annotated[str, typer.Argument(metavar="STORE", help="An OME-Zarr with labels, or labels of their own.")],
    labels: Annotated[str | None, typer.Option("--labels", metavar="NAME", help="Labels to show first.")] = None,
    object_id: Annotated[
        int | None, typer.Option("--object", metavar="ID", help="Go to this object and select it.")
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", metavar="PATH", help="The image, if the labels do not know where it is.")
    ] = None,
    port: Annotated[int, typer.Option("--port", metavar="N", help="Port of the page; the data take the next.")] = 0,
    bind: Annotated[
        str, typer.Option("--bind", metavar="ADDRESS", help="Whom to answer: 127.0.0.1 is this machine alone.")
    ] = "127.0.0.1",
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in this machine's browser.")] = False,
) -> None:
    """Show an image with its labels in the browser.

    Serves neuroglancer until Ctrl-C. Nothing leaves this machine, and no internet is needed.
    """
    from bigcell.viewers.browser import browsed
    from bigcell.viewers.neuroglancer import view as start

    with start(store, labels=labels, object_id=object_id, image=image, port=port, bind=bind) as shown:
        print(shown.url, flush=True)
        with browsed(shown.url) if open_browser else nullcontext():
            stay(shown, tunnelled=bind == "127.0.0.1")


def stay(shown: View, *, tunnelled: bool = True) -> None:
    """Serve a view until Ctrl-C; who came by ssh is told how to reach one that answers this machine alone."""
    if "SSH_CONNECTION" in os.environ and tunnelled:
        print(f"from your own machine: {tunnel(shown.ports)}", flush=True)
    with ENDING.keeping(lambda: "the view is closed"), suppress(KeyboardInterrupt), ENDING.natural():
        print("Ctrl-C ends it", flush=True)
        shown.wait()


def tunnel(ports: tuple[int, int]) -> str:
    """The command that brings both ports of a view here to the user's own machine."""
    carried = [word for p in ports for word in ("-L", f"{p}:127.0.0.1:{p}")]
    return shlex.join(["ssh", *carried, f"{getpass.getuser()}@{socket.gethostname()}"])
