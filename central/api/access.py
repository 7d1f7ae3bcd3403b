"""Who may ask for what. Law of this file: roles are checked before a route runs; no token is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from central.store.pool import Store
from central.store.tokens import Token, find_token

ALL = ("administrator", "dispatcher", "installer", "viewer")
DESK = ("administrator", "dispatcher")
"""Those who may see residents and act on alarms."""
SITE = ("administrator", "installer")
"""Those who may register devices and homes."""
OFFICE = ("administrator",)

_bearer = HTTPBearer(auto_error=False, description="A token from `smokewatch-central admin token create`.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, from where."""

    token: Token
    from_where: str

    @property
    def who(self) -> str:
        """The worker the token stands for, else the token's name."""
        return self.token.worker or self.token.name


def may(store: Store, roles: tuple[str, ...]) -> Callable[..., Awaitable[Caller]]:
    """A dependency that gives the caller, or answers 401 (no valid token) or 403 (another role)."""

    async def caller(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None,
    ) -> Caller:
        token = None
        if credentials is not None:
            async with store.transaction() as tx:
                token = await find_token(tx, credentials.credentials)
        if token is None:
            raise HTTPException(401, "a valid bearer token is needed", headers={"WWW-Authenticate": "Bearer"})
        if token.role not in roles:
            raise HTTPException(403, f"a token of role {token.role} may not do this: {', '.join(roles)} may")
        address = request.client.host if request.client else ""
        return Caller(token, f"{address} {request.headers.get('user-agent', '')}".strip()[:200])

    return caller
