"""The service as it is, with the scripted model. Configured by the usual variables."""

from benchmarks.scripted import ScriptedModel
from taskchat.app import create_app
from taskchat.assistant.models.asking import NamedModel
from taskchat.settings import Settings
from taskchat.telemetry.logs import configure_logs

settings = Settings(_env_file=None)
configure_logs(settings)
app = create_app(settings, chain=[NamedModel("scripted", ScriptedModel())])
