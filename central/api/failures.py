"""Every failure as one shape: {error, zh, mend, problems}; pages get a page. Nothing internal is shown."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from central.engine.model import NotAllowed
from central.pages.render import message
from central.pages.words import language_of
from central.registry.errors import MissingError, RegistryError, TakenError
from central.store.errors import StoreConflict, StoreDown, StoreError, StoreRefused, StoreUnfit

_log = structlog.get_logger()
_MACHINES = ("/api/", "/stream", "/callbacks/")
"""Where programs ask: they are answered in JSON."""

_PLAIN = {
    400: ("请求格式错误", "Send what the API's description says."),
    401: ("需要有效的访问令牌", "Send `Authorization: Bearer <token>`; an administrator makes tokens."),
    403: ("没有权限", "Ask an administrator for a token of a role that may."),
    404: ("没有找到", "Check the address and the id."),
    405: ("不支持这种操作", "See the API's description for what this address takes."),
    413: ("内容太大", "Send at most 1 MB; 10 MB for an import."),
    503: ("服务暂时不可用", "Try again in a few seconds."),
}


def failure(
    status: int, error: str, zh: str, mend: str, *, headers: dict[str, str] | None = None, **more: object
) -> JSONResponse:
    """The one shape."""
    return _Said({"error": error, "zh": zh, "mend": mend, **more}, status_code=status, headers=headers)


class _Said(JSONResponse):
    """A failure may name what was sent, and JSON can spell halves of surrogate pairs: they become `?`."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def add_handlers(app: FastAPI) -> None:
    """Teach the application to answer failures."""

    @app.exception_handler(RegistryError)
    async def registry(_: Request, error: RegistryError) -> Response:
        first = error.problems[0]
        status = 404 if isinstance(error, MissingError) else 409 if isinstance(error, TakenError) else 422
        what = f"{first.place}: {first.what}" if first.place else first.what
        return failure(
            status, what, first.zh, first.mend, problems=[asdict(problem) for problem in error.problems]
        )

    @app.exception_handler(NotAllowed)
    async def not_allowed(_: Request, error: NotAllowed) -> Response:
        return failure(409, error.en, error.zh, "Read the alarm again to see where it stands.", by=error.by)

    @app.exception_handler(RequestValidationError)
    async def unreadable(_: Request, error: RequestValidationError) -> Response:
        wrong = [
            {
                "place": ".".join(str(part) for part in one["loc"][1:]) or str(one["loc"][0]),
                "what": one["msg"],
                "zh": "内容不符合要求",
                "mend": "See the API's description.",
            }
            for one in error.errors()
        ]
        text = f"{wrong[0]['place']}: {wrong[0]['what']}"
        return failure(422, text, "内容不符合要求", "See the API's description.", problems=wrong)

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404 and not request.url.path.startswith(_MACHINES):
            return message(language_of(request.query_params.get("lang")), "not_found", 404)
        zh, mend = _PLAIN.get(error.status_code, ("请求未能完成", "See the API's description."))
        headers = dict(error.headers or {})
        return failure(error.status_code, str(error.detail), zh, mend, headers=headers)

    @app.exception_handler(StoreRefused)
    async def refused(_: Request, error: StoreRefused) -> Response:
        return failure(
            409,
            str(error),
            "与现有登记冲突",
            "Somebody changed it meanwhile, or the id is taken: look again.",
        )

    @app.exception_handler(StoreUnfit)
    async def unfit(request: Request, error: StoreUnfit) -> Response:
        if request.url.path.startswith(_MACHINES):
            return failure(
                422,
                f"what was sent cannot be kept: {error}",
                "内容中有无法保存的字符或数值",
                "Take control characters out; see which numbers the API's description allows.",
            )
        return message(language_of(request.query_params.get("lang")), "unfit", 422)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        _log.error("request raised", place=request.url.path.split("/")[1], error=type(error).__name__)
        if request.url.path.startswith(_MACHINES):
            return failure(500, "a fault of the centre", "中心内部错误", "Tell whoever runs the centre.")
        return message(language_of(request.query_params.get("lang")), "down", 500)

    @app.exception_handler(StoreConflict)
    @app.exception_handler(StoreDown)
    @app.exception_handler(StoreError)
    async def down(request: Request, error: StoreError) -> Response:
        _log.warning("request failed", place=request.url.path.split("/")[1], error=type(error).__name__)
        if request.url.path.startswith(_MACHINES):
            zh, mend = _PLAIN[503]
            return failure(503, "the database does not answer", zh, mend, headers={"Retry-After": "3"})
        down_page = message(language_of(request.query_params.get("lang")), "down", 503)
        down_page.headers["Retry-After"] = "3"
        return down_page
