"""The app for any ASGI server: `uvicorn taskchat.main:app`."""

from taskchat.app import create_app
from taskchat.settings.loading import load_settings
from taskchat.telemetry.logs import configure_logs

settings = load_settings()
configure_logs(settings)
app = create_app(settings)
