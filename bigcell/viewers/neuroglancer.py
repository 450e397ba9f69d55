"""Look at an image and its labels in the browser: serves the files, starts the bundled neuroglancer, gives its URL."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import neuroglancer

from bigcell.core.errors import InputError
from bigcell.core.names import find_name
from bigcell.io.stores.credentials import LOOPBACK
from bigcell.viewers.fileserver import FileServer
from bigcell.viewers.hosts import names_of
from bigcell.viewers.pages import refuse_foreign
from bigcell.viewers.shown import Found, Shown, contrast, find_in, find_shown, plain_metadata
from bigcell.viewers.state import view_state

"""Addresses at which this machine alone can look."""
log = logging.getLogger(__name__)


class View:
    """A running view. It lives until `close`, or until the process ends.

    `ports` are the two that a tunnel must carry: the page's and the data's. `addresses`: where the browser reads each
    source that is shown.
    """

    def __init__(self, viewer: Any, files: FileServer, addresses: dict[str, str]) -> None:
        self.viewer = viewer
        self.addresses = addresses
        self._files: FileServer | None = files
        self._own: Any = None
        self.url: str = viewer.get_viewer_url()
        self.ports: tuple[int, int] = (urlsplit(self.url).port or 80, files.port)
        _open_views.add(self)

    def page_for_links(self) -> str:
        """The address of a page that shows the state in its own address, after ``#!``, and shares none with others.

        It lives as long as the view.
        """
        if self._own is None:
            self._own = neuroglancer.UnsynchronizedViewer()
        address: str = self._own.get_viewer_url()
        return address.partition("#")[0]

    @property
    def state(self) -> dict[str, Any]:
        """What is shown now, as neuroglancer's JSON; what the user does in the browser is in it."""
        state: dict[str, Any] = self.viewer.state.to_json()
        return state

    def wait(self) -> None:
        """Serve until interrupted (Ctrl-C), then close."""
        try:
            while self._files is not None:
                time.sleep(0.5)
        except KeyboardInterrupt:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Stop serving. The last view to close also stops neuroglancer's own server."""
        if self._files is None:
            return
        self._files.close()
        self._files = None
        _open_views.discard(self)
        if not _open_views:
            neuroglancer.stop()

    def __enter__(self) -> View:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"View({self.url})"

    def _repr_html_(self) -> str:
        return f'<a href="{self.url}" target="_blank">{self.url}</a>'


_open_views: set[View] = set()  # neuroglancer has one server for all viewers of a process, and forgets unheld ones


def view(
    store: str | Path,
    *,
    labels: str | None = None,
    object_id: int | None = None,
    image: str | Path | None = None,
    port: int = 0,
    bind: str = "127.0.0.1",
) -> View:
    """Show an OME-Zarr image with its labels in neuroglancer.

    Parameters
    ----------
    store
        An image with labels in it, a store of labels, or one label image: a local path, OME-Zarr 0.4 or 0.5.
    labels
        Name of those to show first; all are listed.
    object_id
        Go to this object and select it.
    image
        The image of labels that lie elsewhere.
    port
        That of the page; the data take the next one. 0 takes any two.
    bind
        Who can connect: only this machine, unless it says otherwise. The address holds a secret word all the same.

    Returns
    -------
    View
        Its `url`, until it is closed.

    Raises
    ------
    InputError
        For paths, labels or objects that are not there.

    Examples
    --------
    >>> with view("brain.zarr", labels="cells", object_id=17) as shown:     # doctest: +SKIP
    ...     print(shown.url)
    ...     shown.wait()
    """
    shown = find_shown(store, labels=labels, image=image, shared=bind not in LOOPBACK)
    for notice in shown.notices:
        log.warning(notice)
    return show(shown, found=_object(shown, labels, object_id), port=port, bind=bind)


def show(shown: Shown, *, found: tuple[str, int, Found] | None = None, port: int = 0, bind: str = "127.0.0.1") -> View:
    """`view` of what was found already: local images and labels, and an object of some labels to go to."""
    windows = contrast(shown.image) if shown.image is not None else ()
    infos = [*([shown.image] if shown.image else []), *shown.labels.values()]
    names = {f"{i}-{Path(info.source).name}": info for i, info in enumerate(infos)}
    folders = {name: Path(info.source) for name, info in names.items()}
    documents = {name: plain_metadata(info) for name, info in names.items()}
    _prepare_server(bind, port)
    files = FileServer(folders, documents=documents, bind=bind, port=port + 1 if port else 0)
    try:
        viewer = _viewer(bind, port)
        host = urlsplit(viewer.get_viewer_url()).hostname
        addresses = {str(path): files.address(name, host) for name, path in folders.items()}
        viewer.set_state(view_state(shown, addresses, windows=windows, found=found))
    except BaseException:
        files.close()
        raise
    return View(viewer, files, addresses)


def _object(shown: Shown, labels: str | None, id: int | None) -> tuple[str, int, Found] | None:
    if id is None:
        return None
    name = find_name(labels, shown.labels) if labels else next(iter(shown.labels), None)
    if name is None:
        raise InputError(f"object {id} was asked for, but there are no labels to look in")
    return name, id, find_in(shown.labels[name], id)


def _prepare_server(bind: str, port: int) -> None:
    """Settle where neuroglancer's server will listen; it can only be changed while no view is open."""
    if _open_views and port and all(port != v.ports[0] for v in _open_views):
        raise InputError(f"another view is open at {next(iter(_open_views)).url}; close it to use port {port}")
    if not _open_views:
        neuroglancer.stop()
        neuroglancer.set_server_bind_address(bind, port)


def _viewer(bind: str, port: int) -> Any:
    try:
        neuroglancer.server.start()
        refuse_foreign(neuroglancer.server.global_server.app, names_of(bind))
        return neuroglancer.Viewer()
    except (OSError, OverflowError) as error:
        raise InputError(f"cannot serve at {bind}:{port} ({error}); choose another --port or --bind") from error
