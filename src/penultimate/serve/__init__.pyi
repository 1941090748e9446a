from penultimate.serve.app import create_app as create_app
from penultimate.serve.limits import Limits as Limits
from penultimate.serve.models import Models as Models
from penultimate.serve.running import run as run
