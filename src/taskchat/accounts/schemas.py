"""Accounts as they look on the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

TOKEN_CHARS_MAX = 512
"""Ours are far shorter; nothing longer is worth hashing."""

Password = Annotated[SecretStr, Field(description="Its length is all that counts.")]


class Taken(BaseModel):
    """A body: nothing is read that is not known."""

    model_config = ConfigDict(extra="forbid", strict=True)


class CredentialsIn(Taken):
    """What registering and signing in take."""

    email: str = Field(description="An address of mail, in any case.")
    password: Password


class RefreshIn(Taken):
    """What refreshing takes."""

    refresh_token: SecretStr = Field(max_length=TOKEN_CHARS_MAX)


class PasswordChange(Taken):
    """What changing a password takes."""

    current_password: Password
    new_password: Password


class AccountDeletion(Taken):
    """What deleting an account takes."""

    password: Password


class TokensOut(BaseModel):
    """What a client gets, by registering, signing in or refreshing."""

    user_id: str
    access_token: str = Field(
        repr=False, description="Goes into the Authorization header of every request."
    )
    refresh_token: str = Field(repr=False, description="Good once, for POST /api/auth/refresh.")
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - its kind
    expires_in: int = Field(description="Seconds for which the access token is good.")


class AccountOut(BaseModel):
    """One's own account."""

    user_id: str
    email: str
    created_at: datetime
    password_changed_at: datetime


class SessionOut(BaseModel):
    """A device that is signed in."""

    id: UUID
    user_agent: str = Field(description="What the device called itself when it signed in.")
    created_at: datetime
    used_at: datetime = Field(description="When it last signed in or refreshed.")
    expires_at: datetime = Field(description="When it ends unless it is refreshed before.")
    current: bool = Field(description="Whether it is the one that asks.")


class PublishedKey(BaseModel):
    """One public key of Ed25519."""

    kid: str
    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    alg: Literal["EdDSA"]
    use: Literal["sig"]


class KeySet(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[PublishedKey]
