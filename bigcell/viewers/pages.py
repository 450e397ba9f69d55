"""What neuroglancer's own server is told before it shows anything."""

from __future__ import annotations

from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule
from tornado.web import Application, RequestHandler

from bigcell.viewers.hosts import REFUSED, is_ours


def refuse_foreign(app: Application, names: frozenset[str]) -> None:
    """Let `app` answer only what is asked of one of `names`, or of an address. Again is harmless."""
    rules = app.default_router.rules
    if not any(isinstance(rule.matcher, _Foreign) for rule in rules):
        rules.insert(0, app.default_router.process_rule(Rule(_Foreign(names), _Refused)))


class _Foreign(Matcher):
    """Requests that name another host."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return None if is_ours(request.headers.get_list("Host"), self.names) else {}


class _Refused(RequestHandler):
    def prepare(self) -> None:
        self.set_status(REFUSED)
        self.finish()
