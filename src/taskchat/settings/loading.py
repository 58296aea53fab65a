"""Loading the settings, with errors that name the variable and never its value."""

from dotenv.parser import parse_stream
from pydantic import ValidationError

from taskchat.refusals import BadConfiguration
from taskchat.settings import ENV_FILE, ENV_FILE_ENCODING, Settings, variable_name


def load_settings(**given: str) -> Settings:
    """Load the settings from the environment and from `.env`.

    Args:
        given: Settings that count more than those.

    Raises:
        BadConfiguration: one of them is out of bounds, or the file can't be read.
    """
    try:
        _check_env_file()
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = variable_name(str(problem["loc"][0])) if problem["loc"] else ""
        text = problem["msg"].removeprefix("Value error, ")
        raise BadConfiguration(
            f"{where}: {text}" if where and where not in text else text
        ) from None
    except OSError as error:
        raise BadConfiguration(f"{ENV_FILE.absolute()}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadConfiguration(f"{ENV_FILE.absolute()} is no text in UTF-8") from error


def _check_env_file() -> None:
    """Refuse an invalid line: it would be skipped with a warning, and its setting with it."""
    if not ENV_FILE.is_file():
        return
    with ENV_FILE.open(encoding=ENV_FILE_ENCODING) as file:
        for binding in parse_stream(file):
            if binding.error:
                line = binding.original.line
                raise BadConfiguration(f"{ENV_FILE.absolute()}, line {line}: write NAME=value")
