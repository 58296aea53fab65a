"""What may be an address and a password, and what counts as the same one."""

import contextlib
import unicodedata

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic import SecretStr

from taskchat.accounts.models import EMAIL_CHARS_MAX
from taskchat.errors import Detail, InvalidRequest
from taskchat.settings import Settings
from taskchat.texts import is_storable

# The library's own switch for it: in a private network people are ann@corp.local.
SPECIAL_USE_DOMAIN_NAMES.clear()


def email_of(value: str, *, field: str = "email") -> str:
    """An address in the one spelling under which it is kept: in small letters, its domain decoded.

    No mail is sent and no name is looked up: an address of a private domain is one.

    Raises:
        InvalidRequest: it is none.
    """
    email = ""
    # No form of Unicode is made of a long text: that takes the square of its length.
    if len(value) <= EMAIL_CHARS_MAX:
        with contextlib.suppress(EmailNotValidError, ValueError):
            found = validate_email(value, check_deliverability=False, globally_deliverable=False)
            email = unicodedata.normalize("NFC", found.normalized.lower())
    if not email or len(email) > EMAIL_CHARS_MAX or not is_storable(email):
        raise InvalidRequest(
            details=[Detail(field, "must be an address of mail such as ann@example.org")]
        )
    return email


def password_of(value: SecretStr, settings: Settings, *, field: str, new: bool) -> str:
    """A password as it is hashed: in the form NFKC, as keyboards write the same one differently.

    Args:
        value: What was sent.
        settings: For its length.
        field: Where it was sent.
        new: Whether it is to be set; an old one may be shorter than new ones have to be.

    Raises:
        InvalidRequest: it is too short or too long.

    Source: NIST SP 800-63B, section 3.1.1.2.
    """
    password = value.get_secret_value()
    least, most = settings.accounts_password_chars_min, settings.accounts_password_chars_max
    if len(password) <= most:
        # As in `email_of` not of a longer one; and it may be longer than what was sent.
        password = unicodedata.normalize("NFKC", password)
    if len(password) > most:
        problem = f"must have at most {most} characters"
    elif new and len(password) < least:
        problem = f"must have at least {least} characters"
    else:
        return password
    raise InvalidRequest(details=[Detail(field, problem)])
